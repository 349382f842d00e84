"""Billed costs: read from the providers' own exports to the last digit, a day once, and never a part of one."""

import datetime as dt
import json
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from llmops_analysis.cli import main
from llmops_ingest import engines, schema, settings, tables
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.invoices import loading, reading

Invoices = Callable[..., Result]
# 2024-11-01 and the two days after it, as OpenAI names them.
MIDNIGHTS = [1730419200 + day * 86_400 for day in range(4)]
OPENAI_CSV = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n"
CONSOLE_CSV = "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd\n"


def openai_bucket(day: int, *results: tuple[Any, str | None], project: str | None = None) -> dict[str, Any]:
    return {
        "object": "bucket",
        "start_time": MIDNIGHTS[day],
        "end_time": MIDNIGHTS[day + 1],
        "results": [
            {
                "object": "organization.costs.result",
                "amount": {"value": value, "currency": "usd"},
                "line_item": line_item,
                "project_id": project,
            }
            for value, line_item in results
        ],
    }


def page(*buckets: dict[str, Any]) -> str:
    return json.dumps({"object": "page", "data": buckets, "has_more": False, "next_page": None})


def read(text: str, source: Any = None) -> reading.Export:
    return reading.read("costs", text.encode(), source)


def lines(text: str) -> list[tuple[Any, ...]]:
    """Return the lines of an export in which nothing is wrong, without their numbers."""
    export = read(text)
    assert (export.rejects, export.held_back) == ([], [])
    return [
        (str(line.day), line.provider, line.model, line.line_item, line.project, str(line.amount_usd.normalize()))
        for billed in export.days.values()
        for line in billed
    ]


@pytest.fixture
def invoices(monkeypatch: pytest.MonkeyPatch, store_url: str) -> Invoices:
    """Run `llmops invoices load` on each of the four databases."""
    return runner(monkeypatch, store_url)


@pytest.fixture
def on_sqlite(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Invoices:
    return runner(monkeypatch, sqlite_url)


def runner(monkeypatch: pytest.MonkeyPatch, url: str) -> Invoices:
    monkeypatch.setenv("CONNECTION_STRING", url)

    def run(*arguments: str, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, ["invoices", "load", *arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run


def stored() -> list[tuple[Any, ...]]:
    table = tables.llm_billed_costs
    columns = table.c.billed_date, table.c.provider, table.c.model, table.c.amount_usd
    with engines.engine_for(settings.sync_url()).connect() as connection:
        if not sa.inspect(connection).has_table(table.name):
            return []
        rows = connection.execute(sa.select(*columns)).all()
    return sorted((str(day), provider, model or "", amount) for day, provider, model, amount in rows)


# ---- what the formats say


def test_openai_pages_name_models_in_their_line_items() -> None:
    day = openai_bucket(
        0,
        (0.06, "gpt-4o-2024-08-06, input"),
        ("0.0000045000000000000000000000000000", "gpt-4o-2024-08-06, cached input"),
        (2, "ft:gpt-4o-mini-2024-07-18:acme::9x, output"),
        (1.5, "dall-e-3"),
        (0.25, "web search tool calls, gpt-4.1"),
        (0.5, "assistants api | code interpreter"),
        (3, "embeddings"),
        project="proj_a",
    )

    assert lines(page(day, openai_bucket(1), openai_bucket(2, (7, None)))) == [
        ("2024-11-01", "openai", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06, input", "proj_a", "0.06"),
        ("2024-11-01", "openai", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06, cached input", "proj_a", "0.0000045"),
        (
            "2024-11-01", "openai", "ft:gpt-4o-mini-2024-07-18:acme::9x", "ft:gpt-4o-mini-2024-07-18:acme::9x, output",
            "proj_a", "2",
        ),
        ("2024-11-01", "openai", "dall-e-3", "dall-e-3", "proj_a", "1.5"),
        ("2024-11-01", "openai", None, "web search tool calls, gpt-4.1", "proj_a", "0.25"),
        ("2024-11-01", "openai", None, "assistants api | code interpreter", "proj_a", "0.5"),
        ("2024-11-01", "openai", None, "embeddings", "proj_a", "3"),
        ("2024-11-03", "openai", None, None, None, "7"),
    ]  # fmt: skip


def test_openai_s_dashboard_file_is_what_its_pages_are() -> None:
    text = OPENAI_CSV + "".join(
        f"{MIDNIGHTS[day]},{MIDNIGHTS[day + 1]},,,{rest}\n"
        for day, rest in (
            (0, '0.8958740000000000,usd,"gpt-5-nano, input_tokens",proj_a'),
            (1, ",,,"),  # a day without costs
            (2, "1,usd,,"),
        )
    )

    assert lines(text) == lines(
        page(
            openai_bucket(0, ("0.895874", "gpt-5-nano, input_tokens"), project="proj_a"),
            openai_bucket(1),
            openai_bucket(2, (1, "")),
        )
    )
    assert [str(day.date) for day in read(text).days] == ["2024-11-01", "2024-11-02", "2024-11-03"]


def test_anthropic_s_report_is_in_cents() -> None:
    report = {
        "data": [
            {
                "starting_at": "2025-08-01T00:00:00Z",
                "ending_at": "2025-08-02T00:00:00Z",
                "results": [
                    {
                        "currency": "USD",
                        "amount": "123.78912",
                        "workspace_id": "wrkspc_01",
                        "description": "Claude Sonnet 4 Usage - Input Tokens",
                        "cost_type": "tokens",
                        "context_window": "0-200k",
                        "model": "claude-sonnet-4-20250514",
                        "service_tier": "standard",
                        "token_type": "uncached_input_tokens",
                    },
                    {"currency": "USD", "amount": "1", "cost_type": "web_search", "workspace_id": None},
                ],
            }
        ],
        "has_more": False,
    }

    assert lines(json.dumps(report)) == [
        (
            "2025-08-01", "anthropic", "claude-sonnet-4-20250514", "Claude Sonnet 4 Usage - Input Tokens", "wrkspc_01",
            "1.2378912",
        ),
        ("2025-08-01", "anthropic", None, "web_search", None, "0.01"),
    ]  # fmt: skip


def test_anthropic_s_console_file_is_in_dollars_and_names_models_as_people_do() -> None:
    text = (
        CONSOLE_CSV
        + "2026-08-15,Claude Haiku 4.5,Default,key,message,≤ 200k,input_no_cache,0.19,0.20\n"
        + "2026-08-15,Claude 3.5 Sonnet 2024-10-22,Default,key,message,≤ 200k,output,1.00,1.00\n"
        + "2026-08-15,,,key,web_search,,,0.07,0.07\n"
    )

    assert [line[2:] for line in lines(text)] == [
        ("claude-haiku-4-5", "Claude Haiku 4.5, message, ≤ 200k, input_no_cache", "Default", "0.19"),
        (
            "claude-3-5-sonnet-20241022", "Claude 3.5 Sonnet 2024-10-22, message, ≤ 200k, output", "Default", "1",
        ),
        (None, "web_search", None, "0.07"),
    ]  # fmt: skip


def test_a_plain_file_says_the_same_of_any_provider() -> None:
    text = (
        "\ufeffprovider,date,amount,currency,model,line_item,project\r\n"
        "mistral,2025-03-01,1.25,usd,mistral-large,,search\r\n"
        "mistral,2025-03-01,-0.5,,,goodwill,\r\n"
    )

    assert lines(text) == [
        ("2025-03-01", "mistral", "mistral-large", None, "search", "1.25"),
        ("2025-03-01", "mistral", None, "goodwill", None, "-0.5"),
    ]


def test_pages_may_be_a_list_or_one_a_line() -> None:
    pages = [page(openai_bucket(0, (1, "o1, input"))), page(openai_bucket(1, (2, "o1, input")))]

    assert lines("\n".join(pages)) == lines(f"[{','.join(pages)}]")
    assert [line[-1] for line in lines("\n".join(pages))] == ["1", "2"]


def test_amounts_never_become_floats() -> None:
    # Neither has a double that is as near as this; JSON writes both as numbers.
    text = page(openai_bucket(0, (1, "a-1"), (2, "a-2"))).replace('"value": 1,', '"value": 0.100000000000000001,')
    text = text.replace('"value": 2,', '"value": 123456789.123456789012345678,')

    assert [line[-1] for line in lines(text)] == ["0.100000000000000001", "123456789.123456789012345678"]


# ---- what is refused as a whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,provider,amount,currency\n2025-03-01,x,1,USD\n2025-03-01,y,1,eur\n", "line 3 is in EUR; costs are kept"),
        (page(openai_bucket(0, (1, "o1, input"))).replace('"usd"', '"gbp"'), "result 1 is in GBP"),
        (page(openai_bucket(0, (1, "o1, input")), openai_bucket(0, (2, "o1, output"))), "2024-11-01 again"),
        (
            "date,provider,amount,model\n2025-03-01,x,1,m\n2025-03-02,x,1,m\n2025-03-01,x,2,m\n",
            "line 4 says of 2025-03-01 what line 2 says, but for the amount",
        ),
        (OPENAI_CSV + f"{MIDNIGHTS[0]},{MIDNIGHTS[1]},,,1,usd,x-1,\n" * 2, "line 3 says of 2024-11-01 what line 2"),
        ("date,provider,amount,curency\n2025-03-01,x,1,EUR\n", "unknown column 'curency'; there are amount, date,"),
        ("usage_date_utc,model_version,usage_output_tokens\n2025-03-01,x,1\n", "lacks the columns by which"),
        ("date,provider,amount,amount\n2025-03-01,x,1,2\n", "more than one column is named 'amount'"),
        ("date,provider,amount\n2025-03-01,x\n", "line 2 has 2 fields where the header has 3"),
        ('date,provider,amount\n2025-03-01,"x,1\n', "is no CSV file: line 2"),
        ("", "lacks the columns by which"),
        ('{"error": {"message": "no"}}', "has no list `data`"),
        ('{"data": [{"day": 1}]}', "no answer of OpenAI's costs API"),
        ('{"data": []}', "holds no days"),
        ('{"data": [', "is no JSON"),
    ],
)  # fmt: skip
def test_what_makes_a_file_doubtful_loads_nothing_of_it(on_sqlite: Invoices, text: str, message: str) -> None:
    Path("costs").write_text(text)

    result = on_sqlite("costs")

    assert result.exit_code == 1
    assert message in result.stderr
    assert "costs" in result.stderr
    assert stored() == []
    assert not Path("costs.rejects.jsonl").exists()


def test_a_typo_in_the_last_file_loads_nothing(on_sqlite: Invoices) -> None:
    Path("good.csv").write_text("date,provider,amount\n2025-03-01,x,1\n")

    result = on_sqlite("good.csv", "missing.csv")

    assert (result.exit_code, stored()) == (1, [])
    assert "missing.csv: No such file" in result.stderr


def test_the_source_that_is_named_must_be_the_file_s() -> None:
    text = page(openai_bucket(0, (1, "o1, input")))

    assert read(text, "openai").source == "openai"
    with pytest.raises(ConfigurationError, match="in the format of openai, not of anthropic"):
        read(text, "anthropic")


# ---- what is refused line by line


@pytest.mark.parametrize("amount", ["", "x", "$1", "1,5", "1_000", "NaN", "Infinity", "1e999", "9999999999999999"])
def test_an_amount_that_is_none_is_rejected_with_its_day(amount: str) -> None:
    export = read(f'date,provider,amount\n2025-03-01,x,1\n2025-03-02,x,"{amount}"\n2025-03-02,y,3\n')

    assert [(reject.line, reject.field) for reject in export.rejects] == [(3, "amount")]
    assert [(str(day.date), day.provider) for day in export.held_back] == [("2025-03-02", "x")]
    assert [(str(day.date), day.provider) for day in export.days] == [("2025-03-01", "x"), ("2025-03-02", "y")]


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        ("", "is missing"),
        ("03/01/2025", "such as 2025-01-31"),
        ("20250301", "such as 2025-01-31"),
        ("2025-02-30", "is no day"),
        ("1969-12-31", "before 1970"),
        ("2999-01-01", "in the future"),
    ],
)
def test_a_line_of_no_day_keeps_the_whole_file_out_for_it_may_be_of_any(day: str, reason: str) -> None:
    export = read(f"date,provider,amount\n2025-03-01,x,1\n{day},x,1\n")

    assert [(reject.line, reject.field) for reject in export.rejects] == [(3, "date")]
    assert reason in export.rejects[0].reason
    assert export.days == {}
    assert len(export.held_back) == 1


def test_a_bucket_that_is_no_day_is_rejected() -> None:
    week = openai_bucket(0, (1, "o1, input")) | {"end_time": MIDNIGHTS[2]}

    (reject,) = read(page(week)).rejects

    assert reject.field == "start_time"
    assert "must be by UTC days" in reject.reason


def test_rejects_are_written_beside_the_file_and_their_days_are_loaded_when_it_is_right(invoices: Invoices) -> None:
    good = "date,provider,amount,model\n2025-03-01,x,1.10,a\n2025-03-02,x,2.20,a\n2025-03-02,x,3.30,b\n"
    Path("costs.csv").write_text(good.replace("3.30", "3.3O"))

    first = invoices("costs.csv")
    kept = stored()
    rejected = json.loads(Path("costs.csv.rejects.jsonl").read_text())
    Path("costs.csv").write_text(good)
    second = invoices("costs.csv")

    assert first.exit_code == 1
    assert "1 rejected, see costs.csv.rejects.jsonl; the first: line 4: amount must be" in first.stderr
    assert "Not loaded for it: 2025-03-02 of x" in first.stderr
    assert kept == [("2025-03-01", "x", "a", Decimal("1.1"))]
    assert (rejected["line"], rejected["field"], rejected["record"]["amount"]) == (4, "amount", "3.3O")
    assert second.exit_code == 0
    assert "days: 1 new, 0 replaced, 1 already there; 2 lines written" in second.stdout
    assert [row[-1] for row in stored()] == [Decimal("1.1"), Decimal("2.2"), Decimal("3.3")]
    assert not Path("costs.csv.rejects.jsonl").exists()


# ---- what a day is, once it is there


def test_loading_a_file_again_changes_nothing(invoices: Invoices) -> None:
    day = openai_bucket(0, (0.06, "o1, input"), ("0.000000000000000001", "o1, output"), (-2, None))
    Path("a.json").write_text(page(day))
    Path("b.json").write_text(page(day | {"results": day["results"][::-1]}))

    first = invoices("a.json")
    loaded_at = times()
    again, other_order = invoices("a.json"), invoices("b.json")

    assert "days: 1 new, 0 replaced, 0 already there; 3 lines written" in first.stdout
    for result in (again, other_order):
        assert (result.exit_code, result.stderr) == (0, "")
        assert "days: 0 new, 0 replaced, 1 already there; 0 lines written" in result.stdout
    assert times() == loaded_at
    assert [row[-1] for row in stored()] == [Decimal(-2), Decimal("0.000000000000000001"), Decimal("0.06")]


def times() -> list[dt.datetime]:
    with engines.engine_for(settings.sync_url()).connect() as connection:
        return list(connection.execute(sa.select(tables.llm_billed_costs.c.loaded_at)).scalars())


def test_a_day_that_is_there_with_other_content_is_refused_until_it_is_replaced_as_a_whole(invoices: Invoices) -> None:
    Path("noon.json").write_text(
        page(openai_bucket(0, (1, "o1, input")), openai_bucket(1, (2, "o1, input"), (4, None)))
    )
    Path("night.json").write_text(page(openai_bucket(1, (3, "o1, input")), openai_bucket(2, (5, "o1, input"))))
    invoices("noon.json")
    before = stored()

    refused = invoices("night.json")
    between = stored()
    replaced = invoices("night.json", "--replace")

    assert refused.exit_code == 1
    assert "there already, with other content, for 2024-11-02 of openai (from noon.json)" in refused.stderr
    assert "--replace" in refused.stderr
    assert between == before
    assert replaced.exit_code == 0
    assert "days: 1 new, 1 replaced, 0 already there; 2 lines written" in replaced.stdout
    assert [(row[0], row[-1]) for row in stored()] == [
        ("2024-11-01", Decimal(1)), ("2024-11-02", Decimal(3)), ("2024-11-03", Decimal(5)),
    ]  # fmt: skip


def test_a_day_restated_to_nothing_is_emptied(on_sqlite: Invoices) -> None:
    Path("a.json").write_text(page(openai_bucket(0, (1, "o1, input"))))
    Path("b.json").write_text(page(openai_bucket(0)))
    on_sqlite("a.json")

    assert on_sqlite("b.json").exit_code == 1
    assert on_sqlite("b.json", "--replace").exit_code == 0
    assert stored() == []


def test_a_provider_s_day_is_billed_once_whichever_format_it_comes_in(on_sqlite: Invoices) -> None:
    Path("a.json").write_text(page(openai_bucket(0, (1, "o1, input"))))
    Path("b.csv").write_text("date,provider,amount,model\n2024-11-01,OpenAI,1,o1\n2024-11-01,other,1,o1\n")
    on_sqlite("a.json")

    result = on_sqlite("b.csv")

    assert result.exit_code == 1
    assert "2024-11-01 of openai (from a.json)" in result.stderr
    assert len(stored()) == 1


def test_standard_input_is_an_export_too(on_sqlite: Invoices) -> None:
    result = on_sqlite("-", stdin=b"date,provider,amount\n2025-03-01,x,1\n")

    assert (result.exit_code, len(stored())) == (0, 1)
    assert "can be read once only" in on_sqlite("-", "-").stderr


@pytest.mark.parametrize("fixture", ["postgres_url", "mariadb_url"])
def test_two_loads_of_a_day_at_once_leave_one_of_them(request: pytest.FixtureRequest, fixture: str) -> None:
    """The second waits for the first, or is told to try again; the day never holds both."""
    url = request.getfixturevalue(fixture)
    schema.ensure_schema(url)
    exports = [
        read("date,provider,amount,model\n" + "".join(f"2025-03-0{d},x,{n},m{n}\n" for d in range(1, 9)))
        for n in range(4)
    ]
    together = threading.Barrier(len(exports))
    outcomes: list[object] = []

    def load(export: reading.Export) -> None:
        together.wait()
        try:
            outcomes.append(loading.load(export, connection_string=url))
        except Exception as error:  # noqa: BLE001 - looked at below
            outcomes.append(error)

    threads = [threading.Thread(target=load, args=(export,)) for export in exports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with engines.engine_for(settings.sync_url(url)).connect() as connection:
        models: list[str | None] = list(connection.execute(sa.select(tables.llm_billed_costs.c.model)).scalars())
    assert len(models) == 8
    assert len(set(models)) == 1
    assert sum(isinstance(outcome, loading.Loaded) for outcome in outcomes) == 1
