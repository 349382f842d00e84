"""Prices in the raw store: what is new is appended, nothing is ever changed, on every database and by many at once."""

import datetime as dt
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from conftest import REPOSITORY
from llmops_analysis.cli import main
from llmops_ingest import (
    ConfigurationError,
    Loader,
    PermanentError,
    TransientError,
    engines,
    ensure_schema,
    schema,
    settings,
    tables,
)
from llmops_ingest.prices import sync as syncing
from llmops_ingest.prices.sync import Name, Synced, names, sync
from llmops_ingest.replication import replicate
from records import operation

PROJECT_SEEDS = REPOSITORY / "dbt_project" / "seeds"
MINI, SONNET, O3 = ("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"), ("openai", "o3")
UNKNOWN = (None, "in-house")
HEADER = "provider,model,service_tier,unit,tier_start,valid_from,valid_to,price,per,currency\n"

Sync = Callable[..., Synced]
Rows = list[dict[str, Any]]


@pytest.fixture
def own_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the user's own seeds, still empty."""
    folder = tmp_path / "seeds"
    folder.mkdir()
    monkeypatch.setenv("LLMOPS_SEEDS", str(folder))
    return folder


def negotiate(folder: Path, *lines: str) -> None:
    (folder / "price_overrides.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))


def url_of(store: str) -> sa.URL:
    return settings.sync_url(store)


def synced(store: str, wanted: Iterable[Name], *, reprice: bool = False) -> Synced:
    ensure_schema(store)
    return sync(url_of(store), wanted, PROJECT_SEEDS, reprice=reprice)


def stored_prices(store: str, name: Name | None = None, number: int | None = None) -> Rows:
    """Return the rows of the table, or those of a model or one of its snapshots, exactly as they are."""
    with engines.engine_for(url_of(store)).connect() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(tables.llm_prices)).mappings()]
    return sorted(
        (
            row
            for row in rows
            if name in (None, (row["provider"], row["model"])) and number in (None, row["snapshot_number"])
        ),
        key=lambda row: (str(row["price_id"]), row["unit"]),
    )


def moment(time: dt.datetime | None) -> dt.datetime | None:
    return time and (time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC))


def usd(rows: Rows, unit: str, **facts: Any) -> set[Decimal]:
    return {
        row["usd_per_unit"]
        for row in rows
        if row["unit"] == unit and all(row[name] == value for name, value in facts.items())
    }


def test_prices_that_had_ids_are_numbered_and_stay_what_they_are(store_url: str) -> None:
    schema.migrate(engines.engine_for(url_of(store_url)), "0006")
    known = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    facts: dict[str, Any] = {
        "provider": "openai",
        "model": "o3",
        "service_tier": "standard",
        "window_start_s": 0,
        "window_end_s": 86_400,
    }
    facts |= {"tier_start": 0, "usd_per_unit": Decimal("0.000000123456789012"), "source": "genai-prices"}
    facts |= {"priced_provider": "openai", "priced_model": "o3"}
    later, sooner = (
        [
            facts | {"price_id": str(uuid.UUID(int=number)), "unit": unit, "snapshot_number": snapshot, "known_at": at}
            for unit in ("input_tokens", "output_tokens")
        ]
        for number, snapshot, at in ((1, 2, known), (2, 1, known - dt.timedelta(days=1)))
    )
    before = sa.table("llm_prices", *(sa.column(c.name, c.type) for c in tables.llm_prices.c if c.name != "price_id"))
    before.append_column(sa.column("price_id", tables.Uuid))
    zone = dt.UTC if url_of(store_url).get_backend_name() in ("postgresql", "duckdb") else None
    with engines.engine_for(url_of(store_url)).begin() as connection:
        stored = [row | {"known_at": row["known_at"].replace(tzinfo=zone)} for row in [*later, *sooner]]
        connection.execute(sa.insert(before), stored)

    ensure_schema(store_url)

    rows = stored_prices(store_url)
    assert [(row["price_id"], row["snapshot_number"], row["unit"]) for row in rows] == [
        (1, 1, "input_tokens"), (1, 1, "output_tokens"), (2, 2, "input_tokens"), (2, 2, "output_tokens"),
    ]  # fmt: skip
    assert {row["usd_per_unit"] for row in rows} == {Decimal("0.000000123456789012")}
    assert {moment(row["known_at"]) for row in rows} == {
        known, known - dt.timedelta(days=1),
    }  # fmt: skip
    synced(store_url, [O3])
    assert {row["price_id"] for row in stored_prices(store_url)} > {1, 2, 3}
    assert {row["price_id"] for row in stored_prices(store_url, O3, 3)}.isdisjoint({1, 2})


def test_a_first_sync_stores_the_prices_of_every_model_and_a_second_nothing(store_url: str) -> None:
    before = dt.datetime.now(dt.UTC)

    assert synced(store_url, [MINI, SONNET, UNKNOWN]) == Synced(2, 2, [UNKNOWN])

    rows = stored_prices(store_url)
    assert {(row["provider"], row["model"]) for row in rows} == {MINI, SONNET}
    assert {(row["snapshot_number"], row["applies_from"]) for row in rows} == {(1, None)}
    assert {(row["source"], row["source_version"]) for row in rows} == {("genai-prices", _version())}
    (known_at,) = {moment(row["known_at"]) for row in rows}
    assert known_at is not None
    assert before <= known_at <= dt.datetime.now(dt.UTC)
    mini, sonnet = stored_prices(store_url, MINI), stored_prices(store_url, SONNET)
    assert usd(mini, "input_tokens", service_tier="standard") == {Decimal("0.00000015")}
    assert Decimal("0.000000075") in usd(mini, "input_tokens", service_tier="batch")
    assert usd(sonnet, "output_tokens", service_tier="standard", tier_start=0, tier_end=200_001) == {
        Decimal("0.000015")
    }
    assert usd(sonnet, "output_tokens", service_tier="standard", tier_start=200_001) == {Decimal("0.0000225")}

    assert synced(store_url, [MINI, SONNET, UNKNOWN]) == Synced(2, 0, [UNKNOWN])
    assert stored_prices(store_url) == rows


def _version() -> str:
    from importlib.metadata import version

    return version("genai-prices")


def test_a_price_that_changes_is_appended_for_its_model_only(store_url: str, own_seeds: Path) -> None:
    synced(store_url, [MINI, SONNET])
    before = stored_prices(store_url)
    negotiate(own_seeds, "openai,gpt-4o-mini,,input_tokens,,,,0.11,1000000,USD")

    assert synced(store_url, [MINI, SONNET]) == Synced(2, 1, [])

    after = stored_prices(store_url)
    assert [row for row in after if row["snapshot_number"] == 1] == before
    new = stored_prices(store_url, number=2)
    assert {(row["provider"], row["model"]) for row in new} == {MINI}
    assert usd(new, "input_tokens", service_tier="standard") == {Decimal("0.00000011")}
    assert usd(new, "output_tokens", service_tier="standard") == {Decimal("0.0000006")}
    assert {row["source"] for row in new if row["unit"] == "input_tokens" and row["service_tier"] == "standard"} == {
        "price_overrides"
    }
    assert {row["applies_from"] for row in new} == {row["known_at"] for row in new}
    assert synced(store_url, [MINI, SONNET]).changed == 0

    # And back again: the list price is a third snapshot, not the first one.
    negotiate(own_seeds)
    assert synced(store_url, [MINI, SONNET]).changed == 1
    assert stored_prices(store_url, number=1) == before
    assert usd(stored_prices(store_url, number=3), "input_tokens", service_tier="standard") == {Decimal("0.00000015")}


def test_repricing_appends_for_all_times_where_something_has_changed(store_url: str, own_seeds: Path) -> None:
    synced(store_url, [MINI, SONNET, O3])
    assert synced(store_url, [MINI, SONNET, O3], reprice=True).changed == 0
    negotiate(own_seeds, "openai,gpt-4o-mini,,input_tokens,,,,0.11,1000000,USD")
    synced(store_url, [MINI, SONNET, O3])
    negotiate(
        own_seeds,
        "openai,gpt-4o-mini,,input_tokens,,,,0.11,1000000,USD",
        "openai,o3,,input_tokens,,,,1,1000000,USD",
    )
    before = stored_prices(store_url)

    assert synced(store_url, [MINI, SONNET, O3], reprice=True) == Synced(3, 2, [])

    new = [row for row in stored_prices(store_url) if row not in before]
    assert len(new) + len(before) == len(stored_prices(store_url))
    # What a sync had appended for later operations only, and what is new; not what was for all already.
    assert {(row["model"], row["snapshot_number"]) for row in new} == {("gpt-4o-mini", 3), ("o3", 2)}
    assert {row["applies_from"] for row in new} == {None}
    assert usd(stored_prices(store_url, MINI, 3), "input_tokens", service_tier="standard") == {Decimal("0.00000011")}
    assert synced(store_url, [MINI, SONNET, O3], reprice=True).changed == 0
    assert synced(store_url, [MINI, SONNET, O3]).changed == 0


def test_a_model_of_ones_own_needs_prices_for_all_its_tokens(sqlite_url: str, own_seeds: Path) -> None:
    negotiate(own_seeds, ",in-house,,input_tokens,,,,2,1000000,USD")

    with pytest.raises(ConfigurationError, match=r"in-house .*none for output_tokens"):
        synced(sqlite_url, [UNKNOWN])

    negotiate(own_seeds, ",in-house,,input_tokens,,,,2,1000000,USD", ",in-house,,output_tokens,,,,free,,USD")
    assert synced(sqlite_url, [UNKNOWN]) == Synced(1, 1, [])


def test_names_that_became_unknown_keep_their_last_prices(store_url: str, own_seeds: Path) -> None:
    negotiate(own_seeds, ",in-house,,input_tokens,,,,free,,USD", ",in-house,,output_tokens,,,,7,1000000,USD")
    assert synced(store_url, [UNKNOWN]) == Synced(1, 1, [])
    before = stored_prices(store_url)
    assert usd(before, "input_tokens") == {Decimal(0)}
    negotiate(own_seeds)

    assert synced(store_url, [UNKNOWN]) == Synced(1, 0, [])
    assert synced(store_url, [UNKNOWN], reprice=True) == Synced(1, 0, [])
    assert stored_prices(store_url) == before


def test_days_and_hours_of_prices_are_in_utc_wherever_they_are_read(store_url: str, own_seeds: Path) -> None:
    negotiate(
        own_seeds,
        ",in-house,,input_tokens,,2025-03-01,2025-04-01,1,1000,USD",
        ",in-house,,input_tokens,,2025-04-01,,2,1000,USD",
        ",in-house,,output_tokens,,2025-03-01,,free,,USD",
    )
    peak = ("deepseek", "deepseek-chat")
    assert synced(store_url, [O3, UNKNOWN, peak]).priced == 3

    day = {name: dt.datetime(2025, *name, tzinfo=dt.UTC) for name in ((3, 1), (4, 1), (6, 10))}
    ranges = {(moment(row["valid_from"]), moment(row["valid_to"])) for row in stored_prices(store_url, UNKNOWN)}
    assert ranges == {(day[3, 1], day[4, 1]), (day[4, 1], None)}
    o3 = stored_prices(store_url, O3)
    assert {moment(row["valid_to"]) for row in o3 if row["valid_from"] is None} == {day[6, 10]}
    assert day[6, 10] in {moment(row["valid_from"]) for row in o3}
    assert {(row["window_start_s"], row["window_end_s"]) for row in stored_prices(store_url, peak)} == {
        (0, 1800),
        (1800, 59400),
        (59400, 86400),
    }
    # Read back in another zone, they are the same days: nothing is new.
    assert synced(store_url, [O3, UNKNOWN, peak]).changed == 0


def test_names_are_those_of_the_operations(store_url: str) -> None:
    ensure_schema(store_url)
    assert names(url_of(store_url)) == set()
    some: list[tuple[str | None, str | None]] = [
        MINI, MINI, (None, "m"), ("", "m"), ("openai", None), ("openai", ""), ("OpenAI", "gpt-4o-mini"),
    ]  # fmt: skip
    Loader(store_url).load(
        operation(number, provider=provider, model=model) for number, (provider, model) in enumerate(some)
    )
    assert names(url_of(store_url)) == {MINI, (None, "m"), ("OpenAI", "gpt-4o-mini")}


def test_names_that_hold_separators_are_not_taken_for_each_other(store_url: str, own_seeds: Path) -> None:
    alike: list[Name] = [("a:b", "c"), ("a", "b:c"), (None, "a:b:c"), ('a"', 'b,"c')]
    negotiate(
        own_seeds,
        "a:b,c,,input_tokens,,,,1,1000,USD",
        "a,b:c,,input_tokens,,,,2,1000,USD",
        ",a:b:c,,input_tokens,,,,3,1000,USD",
        '"a""","b,""c",,input_tokens,,,,4,1000,USD',
        *(f"{name},,output_tokens,,,,free,,USD" for name in ("a:b,c", "a,b:c", ",a:b:c", '"a""","b,""c"')),
    )
    assert synced(store_url, alike).changed == 4
    assert [usd(stored_prices(store_url, name), "input_tokens") for name in alike] == [
        {Decimal(number) / 1000} for number in (1, 2, 3, 4)
    ]
    assert len({row["price_id"] for row in stored_prices(store_url)}) == 4


# ---- several at once


def test_what_another_appended_meanwhile_is_not_appended_again(
    store_url: str, own_seeds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at what is stored and the turn to write, another sync is done, of other models as well."""
    negotiate(own_seeds, "openai,gpt-4o-mini,,input_tokens,,,,0.11,1000000,USD")
    append = syncing._append

    def after_another(*arguments: Any) -> None:
        monkeypatch.setattr(syncing, "_append", append)
        monkeypatch.delenv("LLMOPS_SEEDS")  # who sees prices that are not ours
        synced(store_url, [MINI, SONNET])
        append(*arguments)

    monkeypatch.setattr(syncing, "_append", after_another)
    synced(store_url, [MINI, O3])

    rows = stored_prices(store_url)
    assert {(row["provider"], row["model"]) for row in rows} == {MINI, SONNET, O3}
    assert {row["snapshot_number"] for row in rows} == {1}
    mini = stored_prices(store_url, MINI)
    assert usd(mini, "input_tokens", service_tier="standard") == {Decimal("0.00000015")}
    # Ours come with the next sync.
    monkeypatch.setenv("LLMOPS_SEEDS", str(own_seeds))
    assert synced(store_url, [MINI, SONNET, O3]).changed == 1


PROCESS = """
import json, pathlib, sys, time
from llmops_ingest import settings
from llmops_ingest.prices import cards, names, sync
name, wanted, seeds = sys.argv[1:]
pathlib.Path(f"ready-{name}").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.005)
sync.sync(settings.sync_url(), {tuple(name) for name in json.loads(wanted)}, pathlib.Path(seeds))
"""


def test_processes_that_sync_at_once_leave_one_set(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_schema(store_url)
    engines.engine_for(url_of(store_url)).dispose()
    monkeypatch.setenv("CONNECTION_STRING", store_url)
    wanted = [[MINI, SONNET], [O3, SONNET], [O3, MINI]]
    command = [sys.executable, "-c", PROCESS]
    processes = [
        subprocess.Popen([*command, str(number), json.dumps(some), str(PROJECT_SEEDS)], cwd=tmp_path)
        for number, some in enumerate(wanted)
    ]
    while not all((tmp_path / f"ready-{number}").exists() for number in range(3)):
        assert all(process.poll() is None for process in processes)
    (tmp_path / "go").touch()

    assert [process.wait(60) for process in processes] == [0, 0, 0]

    rows = stored_prices(store_url)
    assert {(row["provider"], row["model"], row["snapshot_number"]) for row in rows} == {
        (*name, 1) for name in (MINI, SONNET, O3)
    }
    assert len({(row["price_id"], row["unit"]) for row in rows}) == len(rows)
    assert synced(store_url, [MINI, SONNET, O3]) == Synced(3, 0, [])


# ---- what goes wrong


def test_a_store_that_cannot_be_written_is_said_to_be_read_only(postgres_url: str) -> None:
    ensure_schema(postgres_url)
    engine = engines.engine_for(url_of(postgres_url))
    with engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    engine.dispose()
    with pytest.raises(PermanentError, match="is read-only"):
        sync(url_of(postgres_url), [MINI], PROJECT_SEEDS)


@pytest.mark.parametrize("url", ["postgresql://u:secret@127.0.0.1:1/d", "mariadb://u:secret@127.0.0.1:1/d"])
def test_a_store_that_is_away_is_a_transient_error(url: str) -> None:
    for call in (lambda: names(url_of(url)), lambda: sync(url_of(url), [MINI], PROJECT_SEEDS)):
        with pytest.raises(TransientError, match="cannot be reached") as raised:
            call()
        assert "secret" not in str(raised.value)


def test_a_wrong_seed_stores_nothing(sqlite_url: str, own_seeds: Path) -> None:
    negotiate(own_seeds, "openai,gpt-4o-mini,,input_tokens,,,,-1,1000000,USD")
    with pytest.raises(ConfigurationError, match=r"price_overrides.csv, line 2: price must be above 0"):
        synced(sqlite_url, [MINI, SONNET])
    assert stored_prices(sqlite_url) == []


# ---- commands


@pytest.fixture
def llmops(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command on the test's SQLite store; whatever happens, it must not end in a traceback."""
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run


def test_the_commands_say_what_they_found(llmops: Callable[..., Result], sqlite_url: str, own_seeds: Path) -> None:
    done = llmops("prices", "sync")
    assert (done.exit_code, done.stdout, done.stderr) == (
        0, f"0 models have prices in {sqlite_url}, 0 of them new ones\n", "",
    )  # fmt: skip
    Loader(sqlite_url).load(
        [
            operation(0),
            operation(1, model="gpt-99"),
            operation(2, provider=None, model="in-house"),
            operation(3, model="o3"),
        ]
    )

    done = llmops("prices", "sync")

    assert (done.exit_code, done.stdout) == (0, f"2 models have prices in {sqlite_url}, 2 of them new ones\n")
    assert done.stderr.splitlines() == [
        "no price is known for (no provider) in-house",
        "no price is known for openai gpt-99",
        "model_aliases.csv can say what a name stands for, price_overrides.csv what it costs",
    ]

    (own_seeds / "model_aliases.csv").write_text(
        "provider,model,priced_provider,priced_model\nopenai,gpt-99,openai,gpt-4o\n"
    )
    negotiate(
        own_seeds,
        ",in-house,,input_tokens,,,,1,1000000,USD",
        ",in-house,,output_tokens,,,,1,1000000,USD",
        "openai,o3,,input_tokens,,,,1,1000000,USD",
    )
    done = llmops("prices", "sync")
    assert (done.exit_code, done.stdout) == (0, f"4 models have prices in {sqlite_url}, 3 of them new ones\n")
    assert done.stderr == ""
    done = llmops("prices", "reprice")
    assert (done.exit_code, done.stdout) == (0, f"4 models have prices in {sqlite_url}, 1 of them new ones\n")
    assert {row["applies_from"] for row in stored_prices(sqlite_url, O3, 3)} == {None}


def test_the_commands_end_in_one_message_when_something_is_wrong(
    llmops: Callable[..., Result], sqlite_url: str, own_seeds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Loader(sqlite_url).load([operation(0)])
    negotiate(own_seeds, "openai,gpt-4o-mini,,input_tokens,,,,2,1000000,EUR")
    for command in ("sync", "reprice"):
        done = llmops("prices", command)
        assert done.exit_code != 0
        assert done.stderr.count("\n") == 1
        assert "price_overrides.csv, line 2: currency must be USD, not 'EUR': convert the price" in done.stderr

    monkeypatch.setenv("CONNECTION_STRING", "postgresql://u:secret@127.0.0.1:1/d")
    done = llmops("prices", "sync")
    assert done.exit_code != 0
    assert "cannot be reached" in done.stderr
    assert "secret" not in done.stderr


def test_without_genai_prices_the_user_is_told_how_to_install_it(
    llmops: Callable[..., Result], sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Loader(sqlite_url).load([operation(0)])
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    done = llmops("prices", "sync")
    assert done.exit_code != 0
    assert "genai-prices is not installed: pip install 'llmops-warehouse[dbt]'" in done.stderr


# ---- in the replica


def test_prices_are_replicated_to_the_last_digit(store_url: str, own_seeds: Path) -> None:
    negotiate(
        own_seeds,
        ",in-house,,input_tokens,,2025-03-01,2025-04-01,0.123456789012345678,1,USD",
        ",in-house,,output_tokens,,2025-03-01,2025-04-01,0.000000000000001,1,USD",
        ",in-house,,requests,,2025-03-01,2025-04-01,998.999999999999999999,1,USD",
        ",in-house,,cache_read_tokens,,2025-03-01,2025-04-01,free,,USD",
    )
    synced(store_url, [O3, UNKNOWN])
    negotiate(own_seeds)
    synced(store_url, [O3, UNKNOWN, SONNET])

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Kolkata'")
        replicate(connection, url_of(store_url))
        replicate(connection, url_of(store_url))
        copied = connection.execute("SELECT * FROM raw.llm_prices").to_arrow_table().to_pylist()

    assert sorted(map(comparable, copied)) == sorted(map(comparable, stored_prices(store_url)))
    ours = [row for row in copied if row["model"] == "in-house"]
    assert usd(ours, "input_tokens") == {Decimal("0.123456789012345678")}
    assert usd(ours, "output_tokens") == {Decimal("0.000000000000001")}
    assert usd(ours, "requests") == {Decimal("998.999999999999999999")}
    assert usd(ours, "cache_read_tokens") == {Decimal(0)}


def comparable(row: dict[str, Any]) -> str:
    def plain(value: Any) -> str:
        if isinstance(value, dt.datetime):
            return str(moment(value))
        return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)

    assert row["price_id"] is not None
    return str({name: plain(value) for name, value in row.items()})
