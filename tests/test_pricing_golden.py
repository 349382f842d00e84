"""What SQL says an operation costs is what genai-prices says: for every model it finds, on DuckDB and PostgreSQL.

The marts are built once an engine, with an operation of every model, so that all prices are there. Then the query that
makes `fct_llm_operations` is run on other operations, as dbt compiled it.
"""

import contextlib
import datetime as dt
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg2
import psycopg2.extras
import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import warm
from conftest import REPOSITORY
from llmops_ingest import Loader
from llmops_ingest.usage import facts_of
from usage_shapes import TOKENS

SAMPLE = REPOSITORY / "ingest" / "sample" / "operations.jsonl"
COMPILED = "target/compiled/llmops_warehouse/dbt_project/models/marts/fct_llm_operations.sql"
CONTEXTS: dict[str | None, dict[str, str] | None] = {
    None: None,
    "default": {"service_tier": "default"},
    "standard": None,
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
EPSILON = Decimal("1e-9")
SESSION = str(uuid.UUID(int=1))
COLUMNS = ("operation_id", "session_id", "timestamp", "provider", "model", "service_tier", *TOKENS, "loaded_at")
# Prices that were known before an operation was loaded and those known since are the same here: there is one snapshot.
LOADED_AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)

Operation = dict[str, Any]
Priced = list[tuple[Decimal | None, str | None]]
Price = Callable[[list[Operation]], Priced]


def models() -> list[tuple[str, ModelInfo]]:
    """Return every model that the package has prices of, by a provider and under a name that it finds it by."""
    found = []
    for provider in get_snapshot().providers:
        for model in provider.models:
            with contextlib.suppress(LookupError):
                if get_snapshot().find_provider_model(model.id, None, provider.id, None)[1] is model:
                    found.append((provider.id, model))
    return found


MODELS = models()


def prices_of(model: ModelInfo) -> Iterator[tuple[ModelPrice, Any]]:
    if isinstance(model.prices, ModelPrice):
        yield model.prices, None
    else:
        yield from ((price.prices, price.constraint) for price in model.prices)
    yield from ((variant.prices, variant.constraint) for variant in model.price_variants or ())


def is_intricate(model: ModelInfo) -> bool:
    """Tell whether its price is more than one for input and one for output."""
    prices = list(prices_of(model))
    units = {unit for price, _ in prices for unit, value in vars(price).items() if value is not None}
    return len(prices) > 1 or not units <= {"input_mtok", "output_mtok"} or any(tier_starts(model))


def tier_starts(model: ModelInfo) -> list[int]:
    values = [value for price, _ in prices_of(model) for value in vars(price).values()]
    return sorted({tier.start for value in values if isinstance(value, TieredPrices) for tier in value.tiers})


def moments(model: ModelInfo) -> list[dt.datetime]:
    """Return the moments at which a price of the model begins or ends, and those just before and after."""
    edges = [dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC)]
    for _, constraint in prices_of(model):
        if isinstance(constraint, StartDateConstraint):
            edges.append(dt.datetime.combine(constraint.start_date, dt.time(), dt.UTC))
        if isinstance(constraint, TimeOfDateConstraint):
            for day in (dt.date(2025, 6, 1), dt.date(2026, 9, 10)):
                edges += [dt.datetime.combine(day, time) for time in (constraint.start_time, constraint.end_time)]
    step = dt.timedelta(microseconds=1)
    return [moment for edge in edges for moment in (edge - step, edge, edge + step)]


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """An operation that can have happened: at the edges of times and context sizes, with parts within their wholes."""
    provider, model = draw(st.sampled_from(INTRICATE) | st.sampled_from(MODELS))
    edges = [size for start in tier_starts(model) for size in (start, start + 1)]
    sizes = st.sampled_from([0, 1, 1_000, 2_000_000, *edges]) | st.integers(0, 3_000_000)
    whole_input, whole_output = draw(sizes), draw(st.integers(0, 200_000))
    read = draw(st.integers(0, whole_input))
    written = draw(st.integers(0, whole_input - read))
    audio = draw(st.integers(0, whole_input - read - written))
    audio_read = draw(st.integers(0, read))
    reasoning = draw(st.integers(0, whole_output))
    counts = {
        "input_tokens": whole_input,
        "output_tokens": whole_output,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": draw(st.integers(0, written)),
        "reasoning_tokens": reasoning,
        "input_audio_tokens": audio + audio_read,
        "cache_read_audio_tokens": audio_read,
        "output_audio_tokens": draw(st.integers(0, whole_output - reasoning)),
    }
    if draw(st.booleans()):  # most responses say nothing of parts
        counts = {name: counts[name] for name in ("input_tokens", "output_tokens")}
    return {
        "timestamp": draw(st.sampled_from(moments(model))),
        "provider": provider,
        "model": model.id,
        "service_tier": draw(st.sampled_from(list(CONTEXTS))),
        **counts,
    }


INTRICATE = [(provider, model) for provider, model in MODELS if is_intricate(model)]


def every_edge() -> list[Operation]:
    """Return, for every model, an operation at each edge of its times and, for each, of its context sizes."""
    tiers = itertools.cycle(CONTEXTS)
    found = []
    for provider, model in MODELS:
        sizes = [1_000, *(size for start in tier_starts(model) for size in (start, start + 1))]
        for moment, size in itertools.product(moments(model), sizes):
            parts = {"cache_read_tokens": size // 3, "cache_write_tokens": size // 5, "reasoning_tokens": 40}
            counts = {"input_tokens": size, "output_tokens": 100, **parts}
            facts = {"timestamp": moment, "provider": provider, "model": model.id, "service_tier": next(tiers)}
            found.append(facts | counts)
    return found


def expected(operation: Operation) -> Decimal:
    """Return the cost in USD by the package."""
    usage = Usage(**{theirs: operation[ours] for ours, theirs in TOKENS.items() if operation.get(ours) is not None})
    price = calc_price(
        usage,
        operation["model"],
        provider_id=operation["provider"],
        genai_request_timestamp=operation["timestamp"],
        price_context=CONTEXTS.get(operation.get("service_tier")),
    )
    return price.total_price


@pytest.fixture(params=["duckdb", "postgres"])
def price(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Price]:
    """What operations cost by the marts of an engine, and why some cost nothing that is known."""
    store = f"sqlite:///{tmp_path}/raw.sqlite" if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    monkeypatch.setenv("CONNECTION_STRING", store)
    names = {(name, model.id) for name, model in MODELS} | {
        (row["provider"], row["model"]) for row in map(json.loads, SAMPLE.read_text().splitlines())
    }
    one_each = [
        {"operation_id": f"{number}", "session_id": SESSION, "timestamp": LOADED_AT, "provider": name, "model": model}
        for number, (name, model) in enumerate(sorted(names))
    ]
    Loader(store).load(one_each)
    built = warm.run(["llmops", "build"], cwd=tmp_path, env=os.environ)
    assert built.returncode == 0, built.stdout + built.stderr
    query = f"SELECT list_cost_usd, unpriced_reason FROM ({Path(COMPILED).read_text()}) AS o ORDER BY operation_id"
    with _on_duckdb(query) if request.param == "duckdb" else _on_postgres(store, query) as run:
        yield run


@contextlib.contextmanager
def _on_duckdb(query: str) -> Iterator[Price]:
    with duckdb.connect("llmops.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def run(operations: list[Operation]) -> Priced:
            connection.execute("DELETE FROM raw.llm_operations")
            rows = pl.DataFrame(rows_of(operations), schema=list(COLUMNS), orient="row", infer_schema_length=None)
            connection.register("rows", rows.to_arrow())
            connection.execute("INSERT INTO raw.llm_operations BY NAME SELECT * FROM rows")
            return connection.execute(query).fetchall()

        yield run


@contextlib.contextmanager
def _on_postgres(store: str, query: str) -> Iterator[Price]:
    connection = psycopg2.connect(store.replace("+psycopg2", ""))
    with contextlib.closing(connection), connection.cursor() as cursor:

        def run(operations: list[Operation]) -> Priced:
            cursor.execute("DELETE FROM llm_operations")
            names = ", ".join(f'"{name}"' for name in COLUMNS)
            psycopg2.extras.execute_values(
                cursor, f"INSERT INTO llm_operations ({names}) VALUES %s", rows_of(operations), page_size=1_000
            )
            cursor.execute(query)
            return cursor.fetchall()

        yield run


def rows_of(operations: list[Operation]) -> list[tuple[Any, ...]]:
    own = {"session_id": SESSION, "loaded_at": LOADED_AT}
    return [
        tuple(({"operation_id": str(uuid.UUID(int=number))} | own | operation).get(name) for name in COLUMNS)
        for number, operation in enumerate(operations)
    ]


def exchanged(folder: Path) -> list[Operation]:
    """Return the recorded exchanges with usage as operations, as the collector would have recorded them."""
    found = []
    for line in (folder / "provider_exchanges.jsonl").read_text().splitlines():
        exchange = json.loads(line)
        facts: dict[str, Any] = {}
        if exchange["response_kind"] == "sse":
            for data in exchange["response"].splitlines():
                if data.startswith("data:") and "[DONE]" not in data:
                    facts |= facts_of(json.loads(data.removeprefix("data:")), facts)
        else:
            facts = facts_of(exchange["response"])
        if "input_tokens" in facts and facts.get("model"):
            provider = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}[exchange["host"]]
            at = dt.datetime.fromisoformat(exchange["responded_at"])
            found.append({"provider": provider, "timestamp": at, "service_tier": None, **facts})
    return found


def test_sql_prices_as_the_package_does(price: Price, request: pytest.FixtureRequest) -> None:
    @settings(
        max_examples=60,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(st.lists(operations(), min_size=10, max_size=40))
    def at_random(some: list[Operation]) -> None:
        agree(some)

    def agree(some: list[Operation]) -> None:
        for operation, (cost, reason) in zip(some, price(some), strict=True):
            wanted = expected(operation)
            if cost is None:
                assert reason in ("unmeasured_units", "unknown_model"), operation
                assert not wanted, operation
            else:
                assert abs(cost - wanted) <= EPSILON, (operation, cost, wanted)

    assert len(MODELS) > 2_000
    agree(every_edge())
    at_random()

    recorded = exchanged(request.getfixturevalue("shared_data"))
    assert len(recorded) > 300
    for operation, (cost, reason) in zip(recorded, price(recorded), strict=True):
        # A name that the package does not know, and that our aliases explain.
        model = {"davinci:2023-07-21-v2": "davinci-002"}.get(operation["model"], operation["model"])
        assert cost is not None, (operation, reason)
        assert abs(cost - expected(operation | {"model": model})) <= EPSILON, operation
