"""What is wrong with operations is counted on the right day, and follows what arrives and goes, on both engines."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from builds import Team
from conftest import REPOSITORY
from llmops_ingest import Loader, engines, settings, tables
from records import START, operation

# Status, message and class of errors as SDKs and providers word them.
ERRORS: list[tuple[str | None, str | None, str | None]] = [
    ("success", None, None),
    ("success", "retried after: Error code: 429", None),
    (None, None, None),
    ("429", None, "rate_limit"),
    (" 503 ", None, "overloaded"),
    ("418", None, "invalid_request"),
    ("505", None, "server_error"),
    ("timeout", None, "timeout"),
    ("Content_Filtered", None, "content_filter"),
    ("cancelled", "CancelledError", "cancelled"),
    ("error", "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o'}}", "rate_limit"),
    ("error", "Error code: 429 - {'error': {'code': 'insufficient_quota', 'message': 'You exceeded ...'}}", "quota"),
    ("error", "Error code: 400 - {'error': {'code': 'content_filter', 'status': 400}}", "content_filter"),
    ("error", "Error code: 400 - {'error': {'code': 'context_length_exceeded'}}", "context_length"),
    ("error", "prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
    ("error", "Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error'}}", "overloaded"),
    ("error", "Error code: 401 - {'error': {'message': 'Incorrect API key provided: ***'}}", "authentication"),
    ("error", "Error code: 500 - {'error': {'message': 'Invalid response, the request timed out'}}", "server_error"),
    ("error", "Request timed out.", "timeout"),
    ("error", "Connection error.", "connection"),
    ("error", "An error occurred (ThrottlingException) when calling the Converse operation", "rate_limit"),
    ("error", "429 RESOURCE_EXHAUSTED. {'error': {'code': 429}}", "rate_limit"),
    ("failed", "HTTP/1.1 504\nupstream gave up", "timeout"),
    (None, "Unknown parameter: 'quality'.", "invalid_request"),
    ("error", "You uploaded an unsupported image.\nPlease make sure it is valid.", "invalid_request"),
    ("error", "Der Server ist müde", "other"),
    ("error", "error 4290 of 503 items", "other"),
    ("error", None, "other"),
]
DAY = START.date()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quality")


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def team(folder: Path, request: pytest.FixtureRequest) -> Team:
    """A team with an empty raw store and no marts, on each engine."""
    team = Team(folder, request.getfixturevalue(request.param))
    team.warehouse.unlink(missing_ok=True)
    return team


def build(team: Team) -> None:
    done = team.llmops("build")
    assert done.returncode == 0, done.stdout + done.stderr


def quality(team: Team) -> dict[dt.date, dict[str, Any]]:
    return {row["operation_date"]: row for row in team.mart("fct_data_quality", ["operation_date"]).rows(named=True)}


def known(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is not 0 or unknown."""
    return {name: value for name, value in row.items() if value and name != "operation_date"}


def test_errors_have_the_class_that_status_and_message_tell_of(team: Team) -> None:
    Loader(team.store).load(
        operation(number, status=status, error_message=message, latency_ms=number)
        for number, (status, message, _) in enumerate(ERRORS)
    )
    build(team)

    classes = team.mart("fct_llm_operations", ["latency_ms"], ["latency_ms", "error_class"])
    assert [(*ERRORS[number][:2], found) for number, found in classes.rows()] == ERRORS
    expected = pl.Series([found for _, _, found in ERRORS if found]).value_counts(name="error_count")
    daily = team.mart("fct_daily_errors", ["error_class"])
    assert dict(daily.select("error_class", "error_count").rows()) == dict(expected.rows())
    assert set(daily["group_operation_count"]) == {len(ERRORS)}
    assert set(daily["group_known_status_count"]) == {len(ERRORS) - 1}
    assert daily["error_rate"].sum() == pytest.approx((len(ERRORS) - 3) / (len(ERRORS) - 1))


def test_days_tell_what_is_wrong_with_their_operations_and_what_was_refused(team: Team) -> None:
    now = dt.datetime.now(dt.UTC)
    fresh = [operation(number, timestamp=now - dt.timedelta(hours=1)) for number in range(3)]
    agent = {"operation_type": "invoke_agent", "session_id": "agent"}
    late = [
        operation(10, timestamp=START),
        operation(11, timestamp=START, cost=None, model="nobody's", input_tokens=None, output_tokens=None),
        operation(12, timestamp=START, latency_ms=None, extras={"refused": {"latency_ms": "must not be negative"}}),
        operation(13, timestamp=START, input_tokens=10, cache_read_tokens=11),
        operation(14, timestamp=START, parent_operation_id="the agent's run", session_id="agent"),
    ]
    loader = Loader(team.store)
    loader.load([*fresh, *late])
    loader.load([*fresh[:2], operation(3, input_tokens=-1), operation(0, timestamp=START), *late[:1]])
    build(team)

    days = quality(team)
    today = _refused_on(team)
    since = (fresh[0]["timestamp"].date() - DAY).days
    assert days.keys() >= {DAY + dt.timedelta(days=number) for number in range(since + 1)}
    assert known(days[DAY]) == {
        "operation_count": 5, "late_operation_count": 5, "late_operation_share": 1.0,
        "unpriced_operation_count": 1, "unpriced_operation_share": 0.2,
        "missing_usage_count": 1, "missing_usage_share": 0.2, "missing_latency_count": 1, "missing_latency_share": 0.2,
        "impossible_value_count": 1, "impossible_value_share": 0.2,
        "refused_values_count": 1, "refused_values_share": 0.2, "without_parent_count": 1, "without_parent_share": 0.2,
    }  # fmt: skip
    assert known(days[DAY + dt.timedelta(days=1)]) == {}
    assert days[today]["duplicate_operation_count"] == 3
    assert days[today]["rejected_record_count"] == 2
    assert sum(row["operation_count"] for row in days.values()) == 8
    assert sum(row["late_operation_count"] for row in days.values()) == 5

    # The agent's run comes a day later, and with it its part has something to be part of: on a day that did not change.
    loader.load([operation(20, operation_id="the agent's run", timestamp=START + dt.timedelta(days=1), **agent)])
    build(team)
    after = quality(team)
    assert after[DAY]["without_parent_count"] == 0
    assert known(after[DAY + dt.timedelta(days=1)]) == {
        "operation_count": 1, "late_operation_count": 1, "late_operation_share": 1.0,
    }  # fmt: skip


def _refused_on(team: Team) -> dt.date:
    with engines.engine_for(settings.sync_url(team.store)).connect() as connection:
        times: list[dt.datetime] = list(connection.execute(sa.select(tables.llm_refusals.c.refused_at)).scalars())
    days = {(time.astimezone(dt.UTC) if time.tzinfo else time).date() for time in times}
    assert len(days) == 1
    return days.pop()


def test_the_documentation_lists_the_patterns_that_are_looked_for() -> None:
    macro = (REPOSITORY / "dbt_project" / "macros" / "quality" / "error_patterns.sql").read_text()
    docs = (REPOSITORY / "dbt_project" / "models" / "docs.md").read_text()
    table = re.findall(r"^\| `(\w+)` \| (.+) \|$", docs[docs.index("{% docs error_class %}") :], re.MULTILINE)
    looked_for = re.findall(r"\('(\w+)', (.+)\),\n", macro)

    assert [name for name, _ in table] == [*(name for name, _ in looked_for), "other"]
    for (_, told), (_, pattern) in zip(table, looked_for, strict=False):
        if pattern.startswith("code"):
            digits = re.findall(r"[0-9]{3}|[45](?=\[0-9\])", pattern)
            assert all(code in told for code in digits), (told, pattern)
        else:
            assert told.strip("`").replace(r"\|", "|") == pattern.strip("'")
