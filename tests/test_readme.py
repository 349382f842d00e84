"""The README says what is true: its snippets run, and it names every command, option, setting and mart."""

import re
from pathlib import Path
from types import SimpleNamespace

import click
import duckdb
import pytest

from llmops_analysis.cli import main

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()


def answer(_asked: object, *, stream: bool = False, **_options: object) -> object:
    """Answer as the client of OpenAI does, without asking anybody."""
    usage = SimpleNamespace(prompt_tokens=1_200, completion_tokens=180)
    if not stream:
        choice = SimpleNamespace(index=0, message=SimpleNamespace(role="assistant", content="On its way."))
        return SimpleNamespace(object="chat.completion", model="gpt-4o-mini", choices=[choice], usage=usage)
    kind = "chat.completion.chunk"
    deltas = [SimpleNamespace(index=0, delta=SimpleNamespace(content=text)) for text in ("On its", " way.")]
    chunks = [SimpleNamespace(object=kind, choices=[delta], usage=None) for delta in deltas]
    return iter([*chunks, SimpleNamespace(object=kind, choices=[], usage=usage)])


MODEL = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=answer)))


# What a build of the operation that the snippets load would make.
HISTOGRAM = """
create schema marts;
create table marts.fct_latency_histogram as select
    date '2023-05-04' as operation_date, 'search' as workspace, 'openai' as provider, 'gpt-4o-mini' as model,
    'chat' as operation_type, 'latency_ms' as metric, 340::smallint as bucket, 847.9::double as bucket_value,
    1::bigint as operation_count
"""


@pytest.mark.usefixtures("own_journal")
def test_its_python_snippets_run_one_after_the_other() -> None:
    with duckdb.connect("llmops.duckdb") as connection:
        connection.execute(HISTOGRAM)
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace: dict[str, object] = {"client": MODEL}

    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), namespace)

    assert len(snippets) >= 6
    assert [namespace[name].height for name in ("everything", "some", "messages")] == [5, 1, 4]  # type: ignore[attr-defined]
    [(*group, p50, p95, p99_9)] = namespace["speed"].rows()  # type: ignore[attr-defined]
    assert group == ["openai", "gpt-4o-mini", 1]
    assert [p50, p95, p99_9] == pytest.approx([847.9] * 3, rel=1e-4)


def commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """Return the commands by what is typed, those of groups as well."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        inner = commands(command, f"{prefix}{name} ") if isinstance(command, click.Group) else None
        found |= {f"{prefix}{name}": command} if inner is None else inner
    return found


COMMANDS = commands(main)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_it_documents_the_command(name: str) -> None:
    assert f"llmops {name}" in README
    row = next(line for line in README.splitlines() if line.startswith(f"| `llmops {name}"))
    options = {
        option
        for parameter in COMMANDS[name].params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    }
    assert set(re.findall(r"--[a-z-]+", row)) == options


def test_its_shell_snippets_call_commands_that_exist() -> None:
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))

    called = set(re.findall(r"^(?:eval \"\$\()?llmops ([a-z]+)", shell, re.MULTILINE))

    assert called == main.commands.keys()


def test_it_names_every_setting() -> None:
    sources = [*(REPOSITORY / "ingest").rglob("*.py"), *(REPOSITORY / "analysis").rglob("*.py")]
    read = {
        name
        for source in [*sources, REPOSITORY / "profiles.yml"]
        for name in re.findall(r"['\"]((?:LLMOPS|DB_POOL|DB_MAX)_[A-Z_]+)['\"]", source.read_text())
    }
    assert {name for name in read if f"`{name}`" not in README} == set()


def test_it_pairs_every_mart_with_the_question_it_answers() -> None:
    marts = {path.stem for path in (REPOSITORY / "dbt_project" / "models" / "marts").glob("*.sql")}
    assert set(re.findall(r"^\| `((?:fct|dim)_\w+)` \|", README, re.MULTILINE)) == marts
