# Everything a contributor or a CI needs; `make` alone prints the targets.

PYTHON ?= python3
PYTEST_WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Installed: what a user of the marts needs, and what a contributor needs on top. Newer than the locks when up to date.
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed

DEMO := .demo
LINT := .lint

.DEFAULT_GOAL := help
.PHONY: help demo test chaos state-machine lint docs bench lock clean
.DELETE_ON_ERROR:

help: ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo docs: export CONNECTION_STRING = sqlite:///$(DEMO)/llmops.sqlite
demo docs: export LLMOPS_WAREHOUSE = $(DEMO)/llmops.duckdb

demo: $(RUNTIME) ## load the sample, build and test the marts, print daily cost and latency
	@mkdir -p $(DEMO)
	$(BIN)/llmops load ingest/sample/operations.jsonl
	$(BIN)/llmops build
	@echo
	$(BIN)/llmops show fct_daily_cost --limit 15 --columns \
	  operation_date,workspace,agent_id,model,operation_count,unpriced_operation_count,without_usage_count,cost_usd
	@echo
	$(BIN)/llmops show fct_daily_latency --limit 15 --columns \
	  operation_date,workspace,model,operation_type,operation_count,error_rate,p50_latency_ms,p95_latency_ms
	@echo
	@echo "The sample is in $(DEMO)/llmops.sqlite, its marts are in $(DEMO)/llmops.duckdb. What to do next:"
	@echo "  $(BIN)/llmops show dim_models        look at another mart"
	@echo "  $(BIN)/llmops load FILE...           load operations of your own (JSONL, CSV, Parquet), then llmops build"
	@echo "  $(BIN)/llmops status                 what is where, and how fresh"
	@echo "Use the demo's stores in this shell:"
	@echo "  export CONNECTION_STRING=$(CONNECTION_STRING) LLMOPS_WAREHOUSE=$(LLMOPS_WAREHOUSE)"

test: $(DEVELOPMENT) ## run every test, with a PostgreSQL (and, where installed, a MariaDB) started for it; ARGS="-k name"
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(ARGS)

chaos: export LLMOPS_CHAOS = full

chaos: $(DEVELOPMENT) ## kill, stop, freeze and damage what the collector relies on, for longer than `make test` does
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile -rA tests/chaos $(ARGS)

state-machine: export LLMOPS_EXAMPLES ?= 500

state-machine: $(DEVELOPMENT) ## change raw rows at random between builds, and compare every mart with an oracle: for hours
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -rA tests/test_state_machine.py $(ARGS)

lint: export CONNECTION_STRING = sqlite:///$(LINT)/llmops.sqlite
lint: export LLMOPS_WAREHOUSE = $(LINT)/llmops.duckdb

lint: $(DEVELOPMENT) ## check style and types of Python and SQL, and the rules of the dbt project
	@mkdir -p $(LINT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint dbt_project
	$(BIN)/dbt --quiet parse
	$(BIN)/dbt-bouncer

docs: $(RUNTIME) ## write the documentation of the marts, one static page: target/static_index.html
	@mkdir -p $(DEMO)
	$(BIN)/llmops load ingest/sample/operations.jsonl
	$(BIN)/dbt --quiet build
	$(BIN)/dbt --quiet docs generate --static
	@echo "open target/static_index.html"

bench: $(DEVELOPMENT) ## run the benchmarks (takes long) and print their tables
	$(BIN)/python -m benchmarks

lock: .tools/bin/uv ## choose the newest allowed version of every dependency anew, for all Pythons and systems
	$(LOCK) --extra dbt --output-file requirements.lock
	$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

LOCK = .tools/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --quiet \
	--no-header --no-emit-index-url --no-emit-find-links

clean: ## remove everything that was made here
	rm -rf $(VENV) .tools $(DEMO) $(LINT) target logs dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find ingest analysis tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The locks are complete, so nothing has to be resolved: --no-deps spares an old pip minutes of backtracking.
$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	$(PIP) install --no-deps -r requirements.lock
	$(PIP) install --no-deps --editable .
	@touch $@

$(DEVELOPMENT): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	$(PIP) install --no-deps -r requirements-dev.lock
	$(PIP) install --no-deps --editable .
	@touch $(RUNTIME) $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed, '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
		echo "Name one that is there: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip --disable-pip-version-check --quiet install uv
