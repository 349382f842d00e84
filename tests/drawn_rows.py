"""What the state machine draws: operations, prices, budgets and bills that are odd where marts could go wrong.

Few ids, so that records meet again; few days, at whose edges zones differ; numbers at the limits of prices.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from oracle.raw import Budget
from records import identifier

# UTC, a day with changes of daylight saving time, half-hour offsets, half-hour changes, and the edge of the date line.
ZONES = [
    "UTC",
    "UTC",
    "UTC",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Europe/Berlin",
]
# Years back, leap days, days on which clocks change (New York, Lord Howe, Berlin), ends of months, and new prices.
DAYS = [
    dt.date(2019, 12, 31), dt.date(2024, 2, 29), dt.date(2024, 3, 10), dt.date(2024, 10, 5), dt.date(2024, 10, 27),
    dt.date(2024, 11, 3), dt.date(2025, 1, 31), dt.date(2025, 2, 1), dt.date(2026, 10, 13), dt.date(2026, 10, 14),
]  # fmt: skip
_HOUR_US = 3_600_000_000
_TIMES_US = st.one_of(
    st.integers(0, 47).map(lambda half_hours: half_hours * _HOUR_US // 2),
    st.integers(1, 48).map(lambda half_hours: half_hours * _HOUR_US // 2 - 1),
    st.integers(0, 24 * _HOUR_US - 1),
)
INSTANTS = st.builds(
    lambda day, microseconds: dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(microseconds=microseconds),
    st.sampled_from(DAYS),
    _TIMES_US,
)

# With service tiers, context sizes, hours of the day, audio, requests, units that nobody records, and no price.
MODELS = [
    ("openai", "gpt-4o-mini"), ("OpenAI", "GPT-4o-mini"), (None, "gpt-4o"), ("anthropic", "claude-sonnet-4-5"),
    ("deepseek", "deepseek-chat"), ("openai", "gpt-realtime"), ("perplexity", "sonar"), ("openai", "whisper-1"),
    ("house", "llama"), ("house", "llama"), ("", "llama"), (None, "llama"), ("house", None), (None, ""),
]  # fmt: skip
OPERATIONS = [identifier(f"operation {number}") for number in range(16)]
SESSIONS = [identifier(f"session {number}") for number in range(5)]
WORKSPACES = st.sampled_from([None, "search", "Suche, größer", "a|b"])
AGENTS = st.sampled_from([None, "planner", ""])
_TYPES = ["chat", "chat", "embeddings", None, "invoke_agent", "execute_tool", "chain"]
_STATUSES = [None, "", "success", " OK ", "201", "error", "unset", "timeout", "429"]
_ERRORS = [None, None, "", "overloaded", "Error code: 529 - rate limit", "HTTP/1.1 404", "context_length_exceeded", "?"]
_COSTS = st.one_of(
    st.none(),
    st.sampled_from([0.0, 0.001, 0.1 + 0.2, 1e-12, 4.9e-13, 2.5e-12, 1_234.56789, 99_999.5, 999_999.5]),
    st.floats(0, 1_000, allow_nan=False),
)
_ODD_COSTS = st.sampled_from([-0.5, 999_999.9999999999, 1e6, -3e19, float("inf"), float("nan")])
_LATENCIES = st.one_of(st.none(), st.sampled_from([0, 1, 2, 3, 5, 8, 250, 600_000]), st.integers(0, 10_000))


@st.composite
def usages(draw: st.DrawFn) -> dict[str, int | None]:
    """Draw tokens: nothing, only text, or parts, which now and then are more than their whole."""
    kind = draw(st.sampled_from(["none", "text", "text", "parts", "parts"]))
    if kind == "none":
        return {}
    edges = st.sampled_from([0, 1, 99, 100, 100, 199_999, 200_000, 200_001, 200_001, 10**9])
    counts = edges | st.integers(0, 5_000)
    tokens: dict[str, int | None] = {"input_tokens": draw(counts), "output_tokens": draw(counts)}
    if kind == "parts":
        parts = st.one_of(st.none(), st.sampled_from([0, 1, 40]), st.integers(0, 120))
        names = ["cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio"]
        tokens |= {f"{name}_tokens": draw(parts) for name in names}
        tokens["cache_read_audio_tokens"] = draw(st.sampled_from([None, 0, 1, 30]))
        missing = draw(st.sampled_from([None, None, None, "input_tokens", "output_tokens"]))
        if missing:
            tokens[missing] = None
    return tokens


@st.composite
def records(draw: st.DrawFn, ids: list[str] = OPERATIONS, sessions: list[str] = SESSIONS) -> dict[str, Any]:
    """Draw an operation as apps load it; its parent may be any other, or itself, or never come."""
    provider, model = draw(st.sampled_from(MODELS))
    has_session_facts = draw(st.booleans())
    return {
        "operation_id": draw(st.sampled_from(ids)),
        "session_id": draw(st.sampled_from(sessions)),
        "parent_operation_id": draw(st.sampled_from([None, None, *ids, identifier("nobody")])),
        "timestamp": draw(INSTANTS),
        "operation_type": draw(st.sampled_from(_TYPES)),
        "provider": provider,
        "model": model,
        "service_tier": draw(st.sampled_from([None, None, "batch", "Flex", "priority", "scale"])),
        **draw(usages()),
        "cost": draw(_COSTS),
        "latency_ms": draw(_LATENCIES),
        "time_to_first_token_ms": draw(_LATENCIES),
        "status": draw(st.sampled_from(_STATUSES)),
        "error_message": draw(st.sampled_from(_ERRORS)),
        "workspace": draw(WORKSPACES) if has_session_facts else None,
        "agent_id": draw(AGENTS) if has_session_facts else None,
    }


@st.composite
def weeks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw calls of one model on a weekday of some weeks, enough to judge a day by; the last week is unusual."""
    provider, model = draw(st.sampled_from(MODELS))
    session_id, last = draw(st.sampled_from(SESSIONS)), draw(INSTANTS)
    number_of_weeks, calls_a_day = draw(st.integers(4, 10)), draw(st.sampled_from([29, 30, 30, 31]))
    usual: dict[str, Any] = {
        "cost": draw(_COSTS),
        "latency_ms": draw(st.integers(0, 1_000)),
        "failing": draw(st.integers(0, 31)),
    }
    unusual: dict[str, Any] = {
        "cost": draw(_COSTS),
        "latency_ms": draw(_LATENCIES),
        "failing": draw(st.integers(0, 31)),
    }
    return [
        {
            "operation_id": identifier(f"week {week} {call}"),
            "session_id": session_id,
            "timestamp": last - dt.timedelta(weeks=week),
            "provider": provider,
            "model": model,
            "cost": facts["cost"],
            "latency_ms": facts["latency_ms"],
            "status": "error" if call < facts["failing"] else "success",
        }
        for week in range(number_of_weeks)
        for facts in [usual if week else unusual]
        for call in range(calls_a_day)
    ]


@st.composite
def odd_rows(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a row as somebody may write it into the raw table past the loader."""
    record = draw(records())
    row = {name: value for name, value in record.items() if name not in ("workspace", "agent_id")}
    row["cost"] = draw(st.one_of(_COSTS, _ODD_COSTS))
    row["extras"] = draw(st.sampled_from([None, {}, {"refused": {"cost": "is no number"}}]))
    odd = draw(st.sampled_from([None, "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"]))
    if odd:
        row[odd] = draw(st.sampled_from([-1, 10**12, 10**12 + 1]))
    return row


@st.composite
def price_lines(draw: st.DrawFn) -> list[str]:
    """Draw negotiated prices as lines of the seed: input and output have the same stretches, and what else there is."""
    own = st.sampled_from(["cache_read_tokens", "output_reasoning_tokens", "requests"])
    lines = []
    models = st.lists(st.sampled_from(MODELS).filter(lambda name: name[1]), max_size=2, unique=True)
    for provider, model in {(provider or "", model) for provider, model in draw(models)}:
        for tier in ["", *draw(st.lists(st.sampled_from(["batch", "flex"]), max_size=1))]:
            changed_on = draw(st.sampled_from([None, "2024-03-10", "2025-02-01"]))
            stretches = [("", changed_on or "")] + ([(changed_on, "")] if changed_on else [])
            sizes = draw(st.sampled_from([[""], ["", "100"]]))
            units = ["input_tokens", "output_tokens", *draw(st.lists(own, max_size=2, unique=True))]
            lines += [
                f"{provider},{model},{tier},{unit},{size},{start},{end},{draw(_PRICES)},1000000,USD"
                for unit in units
                for size in sizes
                for start, end in stretches
            ]
    return lines


_PRICES = st.one_of(
    st.just("free"),
    st.sampled_from(["0.15", "3", "0.000000123456", "12.3456789012345", "900"]),
    st.integers(1, 10_000).map(lambda cents: str(Decimal(cents) / 100)),
)


@st.composite
def budget_lists(draw: st.DrawFn) -> list[Budget]:
    """Draw a few budgets, each of a name of its own."""
    scopes: list[tuple[str, str | None]] = [
        ("all", None), ("workspace", "search"), ("workspace", "Suche, größer"), ("agent", "planner"),
        ("provider", "openai"), ("model", "llama"), ("model", "gpt-4o-mini"),
    ]  # fmt: skip
    budgets = []
    for number in range(draw(st.integers(0, 3))):
        scope, scope_value = draw(st.sampled_from(scopes))
        starts_on = draw(st.sampled_from([*DAYS, dt.date(2024, 3, 15)]))
        length = draw(st.sampled_from([None, 0, 6, 31, 400]))
        period = draw(st.sampled_from(["day", "week", "month", "quarter", "year"]))
        amount = draw(st.sampled_from([Decimal("0.001"), Decimal(10), Decimal("1500.5")]))
        ends_on = None if length is None else starts_on + dt.timedelta(days=length)
        budgets.append(Budget(f"budget {number}", scope, scope_value, period, amount, starts_on, ends_on))
    return budgets


@st.composite
def bills(draw: st.DrawFn) -> str:
    """Draw a plain cost export: some lines of a provider's days."""
    lines = ["date,provider,amount,model,line_item"]
    for number in range(draw(st.integers(1, 5))):
        day = draw(st.sampled_from(DAYS))
        amount = draw(st.sampled_from(["0", "1.25", "-0.5", "0.0000000000005", "123.456789012345678"]))
        model = draw(st.sampled_from(["", "gpt-4o-mini", "GPT-4o-mini", "llama"]))
        lines.append(f"{day},{draw(st.sampled_from(['openai', 'OpenAI', 'house']))},{amount},{model},line {number}")
    return "\n".join([*lines, ""])
