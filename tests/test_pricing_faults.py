"""Each fault that tools like this one are reported for, from what an app records to the marts: none is possible here.

Three builds, which all tests share: with the first prices, after the price of one model has changed, and after history
was repriced. Costs are written down as computed by hand from the prices in `CARD`.
"""

import datetime as dt
import os
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pytest

import warm
from collecting import deliver, end_deliveries
from llmops_analysis import polars_from_db
from llmops_ingest import LlmOperationCollector, Loader
from records import identifier

# US dollars for a million, so that tokens times these are millionths of a dollar.
CARD = """\
provider,model,service_tier,unit,tier_start,valid_from,valid_to,price,per,currency
acme,big,,input_tokens,,,,2,1000000,USD
acme,big,,cache_read_tokens,,,,0.2,1000000,USD
acme,big,,cache_write_tokens,,,,2.5,1000000,USD
acme,big,,cache_write_1h_tokens,,,,4,1000000,USD
acme,big,,output_tokens,,,,8,1000000,USD
acme,big,,output_reasoning_tokens,,,,10,1000000,USD
acme,big,,input_tokens,200001,,,4,1000000,USD
acme,big,,output_tokens,200001,,,16,1000000,USD
acme,big,batch,input_tokens,,,,1,1000000,USD
acme,big,batch,output_tokens,,,,4,1000000,USD
acme,voice,,input_tokens,,,,2,1000000,USD
acme,voice,,cache_read_tokens,,,,1,1000000,USD
acme,voice,,input_audio_tokens,,,,20,1000000,USD
acme,voice,,cache_audio_read_tokens,,,,5,1000000,USD
acme,voice,,output_tokens,,,,8,1000000,USD
acme,voice,,output_audio_tokens,,,,40,1000000,USD
acme,voice,,requests,,,,3,1000,USD
acme,gold,,input_tokens,,,,2000000,1000000,USD
acme,gold,,cache_read_tokens,,,,1000000,1000000,USD
acme,gold,,output_tokens,,,,free,1000000,USD
"""
SMALL = "acme,small,,{unit}_tokens,,,,{price},1000000,USD\n"
FIRST_CARD = CARD + SMALL.format(unit="input", price=1) + SMALL.format(unit="output", price=4)
LATER_CARD = CARD + SMALL.format(unit="input", price=3) + SMALL.format(unit="output", price=5)

# Responses as the providers send them; the model is ours.
ANTHROPIC_USAGE = {
    "input_tokens": 100,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
}
OPENAI_USAGE = {
    "prompt_tokens": 1300,
    "completion_tokens": 100,
    "total_tokens": 9_999,
    "prompt_tokens_details": {"cached_tokens": 1000},
    "completion_tokens_details": {"reasoning_tokens": 60},
}


class Stage(NamedTuple):
    """What the marts said after a build."""

    operations: pl.DataFrame
    daily: pl.DataFrame
    prices: pl.DataFrame
    models: pl.DataFrame
    sessions: pl.DataFrame

    def operation(self, name: str) -> dict[str, Any]:
        return self.operations.row(by_predicate=pl.col("action_id") == name, named=True)

    def session(self, name: str) -> dict[str, Any]:
        return self.sessions.row(by_predicate=pl.col("session_id") == identifier(name), named=True)

    def of_model(self, model: str) -> pl.DataFrame:
        return self.daily.filter(model=model)


class World:
    """A team's folder: raw store, seeds and marts."""

    def __init__(self, folder: Path) -> None:
        self.store, self.seeds = f"sqlite:///{folder / 'raw.sqlite'}", folder / "seeds"
        self.seeds.mkdir()
        self.environment = {
            "CONNECTION_STRING": self.store,
            "LLMOPS_WAREHOUSE": str(folder / "llmops.duckdb"),
            "LLMOPS_SEEDS": str(self.seeds),
            "LLMOPS_JOURNAL": str(folder / "journal"),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DO_NOT_TRACK": "1",
        }
        self.warehouse = folder / "llmops.duckdb"

    def charge(self, card: str) -> None:
        (self.seeds / "price_overrides.csv").write_text(card)

    def load(self, name: str, **fields: Any) -> None:
        """Load an operation of `big` with a session of its own, unless it is said to be another."""
        facts = {
            "operation_id": identifier(name),
            "session_id": identifier(name),
            "action_id": name,
            "timestamp": dt.datetime(2025, 3, 31, 23, 59, tzinfo=dt.UTC),
            "operation_type": "chat",
            "provider": "acme",
            "model": "big",
        }
        assert not Loader(self.store).load([facts | fields]).rejects

    def run(self, *arguments: str) -> None:
        done = warm.run(["llmops", *arguments], cwd=Path.cwd(), env=os.environ)
        assert done.returncode == 0, done.stdout + done.stderr

    def tamper(self, statement: str) -> None:
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(statement)

    def build(self) -> Stage:
        self.run("build")
        marts = ("fct_llm_operations", "fct_daily_cost", "dim_prices", "dim_models", "dim_sessions")
        return Stage(*(polars_from_db(mart, warehouse=self.warehouse) for mart in marts))


class History(NamedTuple):
    """The marts with the first prices, after the price of `small` changed, and after repricing."""

    first: Stage
    changed: Stage
    repriced: Stage


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("faults")
    world = World(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in world.environment.items():
            patch.setenv(name, value)
        world.charge(FIRST_CARD)
        collect()
        load(world)
        first = world.build()

        world.charge(LATER_CARD)
        world.run("prices", "sync")
        world.load("small later", model="small", input_tokens=100, output_tokens=10, session_id=identifier("small"))
        world.load("late call", parent_operation_id=identifier("agent with a late call"), **TEN)
        # What a build that does not rebuild these days leaves as it is.
        world.tamper(f"UPDATE marts.fct_llm_operations SET latency_ms = -7 WHERE {ON_QUIET_DAY}")
        changed = world.build()

        world.run("prices", "reprice")
        world.tamper(f"UPDATE marts.fct_llm_operations SET latency_ms = -7 WHERE {ON_QUIET_DAY} OR model = 'small'")
        yield History(first, changed, world.build())
        end_deliveries()


ON_QUIET_DAY = "operation_date = '2025-02-01'"
TEN = {"input_tokens": 100, "output_tokens": 10}  # 280 millionths


def collect() -> None:
    """Record with the collector what depends on how an app records."""
    collector = LlmOperationCollector()
    call: dict[str, Any] = {"operation_type": "chat", "provider": "acme", "model": "big"}

    with collector.operation(action_id="anthropic", **call) as op:
        op.record({"type": "message", "model": "big", "usage": {**ANTHROPIC_USAGE, "output_tokens": 10}})
    with collector.operation(action_id="anthropic stream", **call) as op:
        op.record(
            {"type": "message_start", "message": {"model": "big", "usage": {**ANTHROPIC_USAGE, "output_tokens": 1}}}
        )
        op.record({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}})
        op.record({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 10}})
    with collector.operation(action_id="openai", **call) as op:
        op.record({"object": "chat.completion", "model": "big", "usage": OPENAI_USAGE})
    with collector.operation(action_id="openai stream", **call) as op:
        for text in ("He", "llo"):
            chunk = {"choices": [{"delta": {"content": text}}], "usage": None}
            op.record({"object": "chat.completion.chunk", "model": "big", **chunk})
        op.record({"object": "chat.completion.chunk", "model": "big", "choices": [], "usage": OPENAI_USAGE})
    with collector.operation(action_id="stream without usage", **call) as op:
        op.record({"object": "chat.completion.chunk", "model": "big", "choices": [{"delta": {"content": "Hi"}}]})
    with collector.operation(action_id="prompt and total", **call) as op:
        op.record({"object": "chat.completion", "model": "big", "usage": {"prompt_tokens": 100, "total_tokens": 110}})

    with (
        collector.session(session_id=identifier("automatic")) as session,
        session.operation("invoke_agent", provider="acme", model="big", action_id="automatic agent") as agent,
    ):
        for _ in range(2):
            with session.operation(action_id="call of the automatic agent", **call) as op:
                op.usage(input_tokens=100, output_tokens=10)
        agent.usage(input_tokens=200, output_tokens=20, cost=0.00056)
    deliver()


def load(world: World) -> None:
    world.load("below the tier", input_tokens=200_000, output_tokens=10)
    world.load("in the tier", input_tokens=200_001, output_tokens=10)
    world.load("batch", service_tier="batch", cache_read_tokens=40, **TEN)
    world.load("Batch", service_tier="Batch", **TEN)
    world.load("another tier", service_tier="on_demand", **TEN)
    world.load(
        "voice", model="voice", input_tokens=1000, cache_read_tokens=400, input_audio_tokens=500,
        cache_read_audio_tokens=100, output_tokens=50, output_audio_tokens=30,
    )  # fmt: skip

    world.load("unknown, recorded as 0", model="nobody-1", cost=0.0, **TEN)
    world.load("unknown", model="nobody-1", **TEN)
    world.load("unknown, recorded", model="nobody-1", cost=0.5, **TEN)
    world.load("known, recorded as 0", cost=0.0, **TEN)
    world.load("known, recorded", cost=0.001, **TEN)
    world.load("more cached than input", cache_read_tokens=101, **TEN)
    world.load("more reasoning than output", reasoning_tokens=11, **TEN)

    world.load("dear", model="gold", input_tokens=649_999, cache_read_tokens=300_000, output_tokens=2_000_000)
    world.load("too dear", model="gold", input_tokens=500_000, output_tokens=10)

    agent = {"operation_type": "invoke_agent", "input_tokens": 100, "output_tokens": 10, "cost": 0.00028}
    world.load("agent", **agent)
    tomorrow = dt.datetime(2025, 4, 1, 0, 1, tzinfo=dt.UTC)
    of_agent = {"session_id": identifier("agent"), "parent_operation_id": identifier("agent")}
    world.load("call of the agent", timestamp=tomorrow, **of_agent, **TEN)

    nested = {"session_id": identifier("workflow")}
    world.load("workflow", **agent | {"operation_type": "invoke_workflow"})
    world.load("agent of the workflow", **agent, **nested, parent_operation_id=identifier("workflow"))
    world.load("tool", operation_type="execute_tool", **nested, parent_operation_id=identifier("agent of the workflow"))
    world.load("call of the tool", **TEN, **nested, parent_operation_id=identifier("tool"))

    world.load("agent without recorded calls", **agent)
    world.load("its tool", operation_type="tool", parent_operation_id=identifier("agent without recorded calls"))
    world.load("agent with a late call", **agent)
    world.load("agent of itself", **agent, parent_operation_id=identifier("agent of itself"))
    for one, other in (("agent in a circle", "agent in the circle"), ("agent in the circle", "agent in a circle")):
        world.load(one, **agent, session_id=identifier("circle"), parent_operation_id=identifier(other))

    world.load("small", model="small", **TEN)
    world.load("quiet", timestamp=dt.datetime(2025, 2, 1, 12, tzinfo=dt.UTC), **TEN)


def millionths(count: str | int) -> Decimal:
    return Decimal(count) / 1_000_000


# ---- tokens and what they cost


def test_cached_tokens_are_counted_once(history: History) -> None:
    # 100 new, 1000 read, 150 written for minutes and 50 for an hour, and 10 of output.
    anthropic = history.first.operation("anthropic")
    assert (anthropic["input_tokens"], anthropic["cache_read_tokens"], anthropic["cache_write_tokens"]) == (
        1300,
        1000,
        200,
    )
    assert anthropic["list_cost_usd"] == millionths(200 + 200 + 375 + 200 + 80)
    # 300 new, 1000 read; 40 of output and 60 of reasoning.
    openai = history.first.operation("openai")
    assert openai["list_cost_usd"] == millionths(600 + 200 + 320 + 600)


def test_output_is_what_was_reported_and_not_the_total_less_the_prompt(history: History) -> None:
    assert history.first.operation("openai")["output_tokens"] == 100
    unknown = history.first.operation("prompt and total")
    assert (unknown["input_tokens"], unknown["output_tokens"]) == (100, None)
    assert (unknown["list_cost_usd"], unknown["cost_usd"], unknown["unpriced_reason"]) == (None, None, "no_usage")


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_stream_costs_what_the_same_in_one_piece_costs(history: History, provider: str) -> None:
    whole, stream = history.first.operation(provider), history.first.operation(f"{provider} stream")
    told = ["total_tokens", "list_cost_usd", "cost_usd", "cost_source", "price_id"]
    assert [stream[name] for name in told] == [whole[name] for name in told]
    assert stream["cost_usd"] > 0


def test_a_stream_that_reports_no_usage_is_unpriced_and_counted(history: History) -> None:
    row = history.first.operation("stream without usage")
    assert (row["input_tokens"], row["cost_usd"], row["unpriced_reason"]) == (None, None, "no_usage")
    assert history.first.of_model("big").filter(operation_type="chat")["without_usage_count"].sum() == 2


def test_a_context_tier_is_for_all_tokens_of_an_operation_beyond_its_start(history: History) -> None:
    assert history.first.operation("below the tier")["list_cost_usd"] == millionths(400_000 + 80)
    assert history.first.operation("in the tier")["list_cost_usd"] == millionths(800_004 + 160)


def test_reasoning_is_part_of_the_output_at_its_own_price(history: History) -> None:
    openai = history.first.operation("openai")
    assert (openai["output_tokens"], openai["reasoning_tokens"]) == (100, 60)
    alone = history.first.of_model("big").filter(pl.col("reasoning_tokens") > 0)
    assert alone["list_reasoning_cost_usd"].sum() == millionths(2 * 600)


def test_a_batch_costs_what_batches_cost(history: History) -> None:
    # What has no batch price, as reading from a cache here, costs what it always does.
    assert history.first.operation("batch")["list_cost_usd"] == millionths(60 + 8 + 40)
    assert history.first.operation("Batch")["list_cost_usd"] == millionths(100 + 40)
    assert history.first.operation("another tier")["list_cost_usd"] == millionths(280)


def test_audio_and_requests_are_charged_for(history: History) -> None:
    # 200 of new text, 300 of cached text, 400 of new audio, 100 of cached audio; 20 of text, 30 of audio; one request.
    expected = millionths(400 + 300 + 8000 + 500 + 160 + 1200 + 3000)
    assert history.first.operation("voice")["list_cost_usd"] == expected


def test_tokens_that_cannot_be_are_counted_and_never_priced(history: History) -> None:
    for name in ("more cached than input", "more reasoning than output"):
        row = history.first.operation(name)
        assert (row["list_cost_usd"], row["current_cost_usd"], row["cost_usd"]) == (None, None, None)
        assert (row["unpriced_reason"], row["is_priced"]) == ("impossible_usage", False)
    assert history.first.of_model("big")["impossible_usage_count"].sum() == 2


def test_tokens_for_a_million_dollars_are_counted_and_never_priced(history: History) -> None:
    assert history.first.operation("dear")["list_cost_usd"] == 2 * 349_999 + 300_000
    row = history.first.operation("too dear")
    assert (row["list_cost_usd"], row["cost_usd"], row["unpriced_reason"]) == (None, None, "impossible_usage")
    (daily,) = history.first.of_model("gold").rows(named=True)
    assert (daily["list_cost_usd"], daily["impossible_usage_count"]) == (999_998, 1)
    assert (daily["list_cache_read_cost_usd"], daily["cache_savings_usd"]) == (300_000, 300_000)


# ---- what is unknown


def test_an_unknown_model_costs_what_is_unknown_and_not_nothing(history: History) -> None:
    for name in ("unknown, recorded as 0", "unknown"):
        row = history.first.operation(name)
        assert (row["list_cost_usd"], row["cost_usd"], row["cost_source"]) == (None, None, None)
        assert (row["unpriced_reason"], row["is_priced"]) == ("unknown_model", False)
    recorded = history.first.operation("unknown, recorded")
    assert (recorded["cost_usd"], recorded["cost_source"], recorded["unpriced_reason"]) == (
        Decimal("0.5"),
        "recorded",
        None,
    )
    (daily,) = history.first.of_model("nobody-1").rows(named=True)
    assert (daily["unpriced_operation_count"], daily["without_price_count"], daily["unpriced_tokens"]) == (2, 2, 220)
    assert (daily["cost_usd"], daily["priced_tokens"], daily["list_cost_usd"]) == (Decimal("0.5"), 110, None)
    model = history.first.models.row(by_predicate=pl.col("model") == "nobody-1", named=True)
    assert (model["price_status"], model["without_price_count"]) == ("unknown", 2)


def test_a_recorded_cost_of_nothing_gives_way_to_the_list_price(history: History) -> None:
    row = history.first.operation("known, recorded as 0")
    assert (row["recorded_cost_usd"], row["cost_usd"], row["cost_source"]) == (0, millionths(280), "list")


def test_what_was_recorded_listed_and_would_cost_today_stand_side_by_side(history: History) -> None:
    row = history.first.operation("known, recorded")
    assert (row["recorded_cost_usd"], row["cost_source"]) == (Decimal("0.001"), "recorded")
    assert (row["list_cost_usd"], row["current_cost_usd"], row["cost_usd"]) == (
        millionths(280), millionths(280), Decimal("0.001"),
    )  # fmt: skip


# ---- agents


def is_left_to_its_calls(row: dict[str, Any]) -> bool:
    nothing = {row[name] for name in ("cost_usd", "list_cost_usd", "recorded_cost_usd", "total_tokens")} == {None}
    return nothing and (row["is_rollup"], row["cost_source"], row["unpriced_reason"]) == (True, "children", None)


def test_an_agent_and_its_calls_are_counted_once(history: History) -> None:
    assert is_left_to_its_calls(history.first.operation("automatic agent"))
    session = history.first.session("automatic")
    assert (session["operation_count"], session["total_tokens"], session["cost_usd"]) == (3, 220, millionths(560))


def test_calls_on_another_day_than_their_agent_count_on_their_own(history: History) -> None:
    agent, call = history.first.operation("agent"), history.first.operation("call of the agent")
    assert is_left_to_its_calls(agent)
    assert agent["operation_date"] < call["operation_date"]
    assert call["cost_usd"] == history.first.session("agent")["cost_usd"] == millionths(280)


def test_agents_of_agents_are_counted_once(history: History) -> None:
    for name in ("workflow", "agent of the workflow", "tool"):
        assert is_left_to_its_calls(history.first.operation(name))
    session = history.first.session("workflow")
    assert (session["operation_count"], session["total_tokens"], session["cost_usd"]) == (4, 110, millionths(280))
    assert session["unpriced_operation_count"] == 0


def test_an_agent_whose_calls_are_not_recorded_keeps_what_it_cost(history: History) -> None:
    agent = history.first.operation("agent without recorded calls")
    assert (agent["cost_usd"], agent["is_rollup"]) == (millionths(280), False)


def test_an_agent_whose_calls_arrive_later_leaves_its_cost_to_them(history: History) -> None:
    assert history.first.operation("agent with a late call")["cost_usd"] == millionths(280)
    assert is_left_to_its_calls(history.changed.operation("agent with a late call"))
    assert history.changed.operation("late call")["cost_usd"] == millionths(280)


def test_agents_that_are_part_of_themselves_lose_nothing(history: History) -> None:
    assert history.first.session("agent of itself")["cost_usd"] == millionths(280)
    assert history.first.session("circle")["cost_usd"] == millionths(560)


# ---- prices that change


def test_a_price_that_changes_changes_no_cost_of_the_past(history: History) -> None:
    before = history.first.operation("small")
    assert before["cost_usd"] == before["current_cost_usd"] == millionths(140)

    after = history.changed.operation("small")
    assert {**after, "current_cost_usd": None, "price_version": None, "latency_ms": None} == {
        **before, "current_cost_usd": None, "price_version": None, "latency_ms": None,
    }  # fmt: skip
    assert after["current_cost_usd"] == millionths(350)


def test_what_is_loaded_after_a_change_has_the_new_price(history: History) -> None:
    later = history.changed.operation("small later")
    assert later["cost_usd"] == later["current_cost_usd"] == millionths(350)
    daily = history.changed.of_model("small")
    assert (daily["list_cost_usd"].sum(), daily["current_cost_usd"].sum()) == (millionths(490), millionths(700))


def test_history_can_be_repriced(history: History) -> None:
    for name in ("small", "small later"):
        row = history.repriced.operation(name)
        assert row["cost_usd"] == row["list_cost_usd"] == row["current_cost_usd"] == millionths(350)
    numbers = history.repriced.prices.filter(model="small")["snapshot_number"]
    assert sorted(numbers.unique()) == [1, 2, 3]
    # The prices that were used once are there for good, as they were.
    known = history.first.prices
    assert (
        history.repriced.prices.join(known, on="price_id", how="semi").sort("price_id").equals(known.sort("price_id"))
    )


def test_only_days_of_the_model_whose_price_changed_are_rebuilt(history: History) -> None:
    for stage in (history.changed, history.repriced):
        assert stage.operation("quiet")["latency_ms"] == -7
    assert history.repriced.operation("small")["latency_ms"] is None
    fingerprints = [
        dict(stage.daily.select(pl.col("operation_date").cast(pl.String), "day_fingerprint").unique().iter_rows())
        for stage in history
    ]
    first, _, last = fingerprints
    assert {day for day in first if first[day] != last[day]} == {"2025-03-31"}


# ---- sums and where they come from


def test_a_cost_is_traced_from_a_daily_sum_to_prices_and_computed_again_by_hand(history: History) -> None:
    for stage in history:
        grain = ["operation_date", "workspace", "agent_id", "provider", "model", "operation_type"]
        for cell in stage.daily.filter(pl.col("list_cost_usd").is_not_null()).rows(named=True):
            rows = stage.operations.filter(
                pl.all_horizontal(pl.col(name).eq_missing(pl.lit(cell[name])) for name in grain)
            )
            assert rows.height == cell["operation_count"]
            costs = [by_hand(row, stage.prices) for row in rows.rows(named=True) if row["price_id"] is not None]
            assert sum(costs) == cell["list_cost_usd"]


def by_hand(row: dict[str, Any], prices: pl.DataFrame) -> Decimal:
    """Return what an operation costs by the prices that it names."""
    price = prices.row(by_predicate=pl.col("price_id") == row["price_id"], named=True)
    assert (price["provider"], price["model"]) == (row["provider"], row["model"])
    assert price["min_input_tokens"] <= row["input_tokens"] <= (price["max_input_tokens"] or row["input_tokens"])

    def rate(*names: str) -> Decimal:
        """Return the first of these that there is: what has no price costs what it is part of."""
        rates = [price[f"{name}_usd_per_mtok"] for name in names]
        return next((Decimal(rate) for rate in rates if rate is not None), Decimal(0))

    def count(name: str) -> int:
        return row[f"{name}_tokens"] or 0

    read, read_audio = count("cache_read"), count("cache_read_audio")
    written, hour, audio = count("cache_write"), count("cache_write_1h"), count("input_audio")
    output, reasoning, output_audio = count("output"), count("reasoning"), count("output_audio")
    parts = [
        (count("input") - read - written - audio + read_audio, rate("input")),
        (read - read_audio, rate("cache_read", "input")),
        (written - hour, rate("cache_write", "input")),
        (hour, rate("cache_write_1h", "cache_write", "input")),
        (audio - read_audio, rate("input_audio", "input")),
        (read_audio, rate("cache_audio_read", "cache_read", "input_audio", "input")),
        (output - reasoning - output_audio, rate("output")),
        (reasoning, rate("output_reasoning", "output")),
        (output_audio, rate("output_audio", "output")),
    ]
    trillionth = Decimal("1e-12")
    costs = [(tokens * usd / 1_000_000).quantize(trillionth, ROUND_HALF_UP) for tokens, usd in parts]
    cost = sum(costs, price["request_usd"] or Decimal(0))
    assert cost == row["list_cost_usd"]
    return cost


def test_kinds_of_tokens_add_up_to_the_list_cost(history: History) -> None:
    kinds = ["input", "cache_read", "cache_write", "output", "reasoning", "audio", "request"]
    priced = history.first.daily.filter(pl.col("list_cost_usd").is_not_null())
    assert priced.height > 3
    total = pl.sum_horizontal(f"list_{kind}_cost_usd" for kind in kinds)
    assert priced.select(total.alias("total"))["total"].to_list() == priced["list_cost_usd"].to_list()
    (voice,) = history.first.of_model("voice").rows(named=True)
    assert [voice[f"list_{kind}_cost_usd"] for kind in kinds] == [
        millionths(count) for count in (400, 300, 0, 160, 0, 9700, 3000)
    ]


def test_daily_costs_are_the_costs_of_all_operations(history: History) -> None:
    for stage in history:
        for name in ("cost_usd", "list_cost_usd", "recorded_cost_usd", "current_cost_usd"):
            assert stage.daily[name].sum() == stage.operations[name].sum()
        assert stage.sessions["cost_usd"].sum() == stage.daily["cost_usd"].sum()


def test_savings_are_what_a_hand_computes(history: History) -> None:
    daily = history.first.of_model("voice").row(0, named=True)
    # 300 of cached text at 2 instead of 1, 100 of cached audio at 20 instead of 5.
    assert daily["cache_savings_usd"] == millionths(300 + 1500)
    assert daily["batch_savings_usd"] is None

    cached = history.first.of_model("big").filter(pl.col("cache_write_tokens") > 0).row(0, named=True)
    # The day of the collector: reads of 1000 in four operations save 1800 each, writes cost 75 and 100 more in two.
    assert cached["cache_savings_usd"] == millionths(4 * 1800 - 2 * 175)
    # Two of each kind, and two calls of the agent: what is new costs half, and so does output.
    assert cached["batch_savings_usd"] == millionths(2 * (100 + 40) + 2 * (300 + 160) + 2 * (100 + 40))
