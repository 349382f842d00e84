"""The user's own files about prices: what they say is used, and whatever is wrong in them is one clear error."""

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest

from conftest import REPOSITORY
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.operation_types import SPAN_TYPES
from llmops_ingest.prices.names import Found, find
from llmops_ingest.prices.seeds import MEASURED_UNITS, SERVICE_TIERS, Alias, Override, aliases, overrides

PROJECT_SEEDS = REPOSITORY / "dbt_project" / "seeds"
HEADER = "provider,model,service_tier,unit,tier_start,valid_from,valid_to,price,per,currency"
COLUMNS = HEADER.split(",")
# A line with nothing wrong: two dollars per million input tokens.
RIGHT = dict(zip(COLUMNS, ["openai", "gpt-4o", "", "input_tokens", "", "", "", "2", "1000000", "USD"], strict=True))


def price(**values: str) -> str:
    return ",".join((RIGHT | values).values())


def seed(folder: Path, name: str, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def read_prices(folder: Path, *lines: str) -> list[Override]:
    seed(folder, "price_overrides.csv", HEADER, *lines)
    return overrides(folder)


def refused(folder: Path, line: int, *lines: str) -> str:
    """Return what is said to be wrong with the line, when these prices are read."""
    with pytest.raises(ConfigurationError) as raised:
        read_prices(folder, *lines)
    message = str(raised.value)
    where = f"{folder / 'price_overrides.csv'}, line {line}: "
    assert message.startswith(where), message
    assert "\n" not in message
    return message.removeprefix(where)


# ---- prices


def test_a_price_is_read_as_it_is_meant(tmp_path: Path) -> None:
    (found,) = read_prices(
        tmp_path, ",my model,batch,output_tokens,200001, 2025-01-01 ,2026-01-01,0.30000000000000000004,1_000_000,usd"
    )
    assert found == Override(
        provider=None,
        model="my model",
        service_tier="batch",
        unit="output_tokens",
        tier_start=200_001,
        valid_from=dt.date(2025, 1, 1),
        valid_to=dt.date(2026, 1, 1),
        usd_per_unit=Decimal("0.00000030000000000000000004"),
    )


def test_what_is_left_out_is_standard_and_without_limit(tmp_path: Path) -> None:
    (found,) = read_prices(tmp_path, price())
    assert (found.service_tier, found.tier_start, found.valid_from, found.valid_to) == ("standard", 0, None, None)
    assert found.usd_per_unit == Decimal("0.000002")


@pytest.mark.parametrize("word", ["free", "Free", "FREE"])
def test_free_is_a_price(tmp_path: Path, word: str) -> None:
    (found,) = read_prices(tmp_path, price(price=word, per=""))
    assert found.usd_per_unit == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"model": ""}, "model is missing"),
        ({"unit": "input_mtok"}, f"there is no unit 'input_mtok'; there are {', '.join(MEASURED_UNITS)}"),
        ({"unit": ""}, f"there is no unit ''; there are {', '.join(MEASURED_UNITS)}"),
        ({"service_tier": "bulk"}, f"there is no service_tier 'bulk'; there are {', '.join(SERVICE_TIERS)}"),
        ({"currency": "EUR"}, "currency must be USD, not 'EUR': convert the price"),
        ({"currency": ""}, "currency must be USD, not '': convert the price"),
        ({"price": "0"}, "price must be above 0, not 0; what costs nothing has the price free"),
        ({"price": "0.000"}, "price must be above 0, not 0.000; what costs nothing has the price free"),
        ({"price": "-2"}, "price must be above 0, not -2; what costs nothing has the price free"),
        ({"price": ""}, "price must be a number, not ''"),
        ({"price": "$2"}, "price must be a number, not '$2'"),
        ({"price": "NaN"}, "price must be a number, not 'NaN'"),
        ({"price": "sNaN"}, "price must be a number, not 'sNaN'"),
        ({"price": "Infinity"}, "price must be a number, not 'Infinity'"),
        ({"price": "1e999999", "per": "1e-999999"}, "price must be a number, not '1e999999'"),
        ({"price": "2", "per": ""}, "per must be a number, not ''"),
        ({"per": "0"}, "per must be above 0, not 0: 1000000 for a price per million tokens"),
        ({"per": "-1000"}, "per must be above 0, not -1000: 1000000 for a price per million tokens"),
        ({"price": "2000", "per": "1"}, "2000 USD per 1 input_tokens is no price: per is how many units it buys"),
        # It would be rounded to nothing, and make the model free.
        ({"price": "1e-10"}, "1E-10 USD per 1000000 input_tokens is no price: per is how many units it buys"),
        ({"tier_start": "-1"}, "tier_start must be a whole number of input tokens, not '-1'"),
        ({"tier_start": "200k"}, "tier_start must be a whole number of input tokens, not '200k'"),
        ({"tier_start": "9" * 20}, f"tier_start must be a whole number of input tokens, not '{'9' * 20}'"),
        ({"tier_start": "9" * 5000}, f"tier_start must be a whole number of input tokens, not '{'9' * 5000}'"),
        ({"valid_from": "2025-02-30"}, "valid_from must be a day as in 2025-12-31, not '2025-02-30'"),
        ({"valid_from": "01/02/2025"}, "valid_from must be a day as in 2025-12-31, not '01/02/2025'"),
        ({"valid_to": "2025-01-01T12:00"}, "valid_to must be a day as in 2025-12-31, not '2025-01-01T12:00'"),
        (
            {"valid_from": "0001-01-01"},
            "valid_from must not be before 1970-01-01, but is 0001-01-01; empty is without limit",
        ),
        (
            {"valid_from": "2025-06-01", "valid_to": "2025-05-01"},
            "valid_to 2025-05-01 must be after valid_from 2025-06-01: it is the first day without it",
        ),
        (
            {"valid_from": "2025-06-01", "valid_to": "2025-06-01"},
            "valid_to 2025-06-01 must be after valid_from 2025-06-01: it is the first day without it",
        ),
        ({"currency": "USD,1"}, "it must have 10 values"),
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_named_with_what_would_be_right(
    tmp_path: Path, values: dict[str, str], reason: str
) -> None:
    assert refused(tmp_path, 3, price(model="another"), price(**values)) == reason


def test_too_few_values_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, 2, "openai,gpt-4o,,input_tokens,,,,2,1000000") == "it must have 10 values"


@pytest.mark.parametrize(
    "header", ["", "provider,model", HEADER.upper(), HEADER.replace(",", ";"), f"{HEADER},note", "model," + HEADER]
)
def test_other_columns_are_refused(tmp_path: Path, header: str) -> None:
    path = seed(tmp_path, "price_overrides.csv", header, price())
    with pytest.raises(ConfigurationError) as raised:
        overrides(tmp_path)
    assert str(raised.value) == f"{path}, line 1: the columns must be {HEADER}"


def test_a_file_that_is_no_text_or_no_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "price_overrides.csv"
    path.write_bytes(HEADER.encode() + b"\nopenai,gpt-\xe4,,input_tokens,,,,2,1000000,USD\n")
    with pytest.raises(ConfigurationError, match=r"price_overrides.csv cannot be read as a text in UTF-8: .*0xe4"):
        overrides(tmp_path)
    path.write_text(f'{HEADER}\nopenai,"gpt-4o,,input_tokens,,,,2,1000000,USD\n{price()}\n')
    with pytest.raises(ConfigurationError, match=r"price_overrides.csv, line 2: it is no CSV: "):
        overrides(tmp_path)


def test_line_ends_and_a_byte_order_mark_make_no_difference(tmp_path: Path) -> None:
    plain = read_prices(tmp_path, price(), price(unit="output_tokens"))
    path = tmp_path / "price_overrides.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert overrides(tmp_path) == plain
    assert len(plain) == 2


# ---- prices one after the other


EARLY, LATE = ("", "2025-06-01"), ("2025-06-01", "")


def of_days(days: tuple[str, str], **values: str) -> str:
    return price(valid_from=days[0], valid_to=days[1], **values)


@pytest.mark.parametrize("order", [1, -1])
def test_prices_that_follow_each_other_without_a_gap_are_right_in_any_order(tmp_path: Path, order: int) -> None:
    found = read_prices(tmp_path, *[of_days(EARLY, price="1"), of_days(LATE, price="3")][::order])
    assert [override.usd_per_unit for override in found] == [Decimal("0.000001"), Decimal("0.000003")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("", ""), ("", "")),
        (("", ""), LATE),
        (EARLY, ("", "2025-03-01")),
        (EARLY, ("2025-05-31", "")),
        (LATE, ("2026-01-01", "2026-02-01")),
    ],
)
def test_prices_of_the_same_that_overlap_are_refused(
    tmp_path: Path, first: tuple[str, str], second: tuple[str, str]
) -> None:
    reason = refused(tmp_path, 3, of_days(first), of_days(second))
    assert reason == f"valid_from {second[0] or 'ever'} overlaps the price of the same before"


def test_a_gap_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assert refused(tmp_path, 2, of_days(("2025-06-02", "")), of_days(EARLY)) == (
        "there is a gap before valid_from 2025-06-02: the price before ends with 2025-06-01; "
        "to return to the list price, leave out the later line"
    )


@pytest.mark.parametrize(
    "values",
    [
        {"unit": "output_tokens"},
        {"service_tier": "batch"},
        {"tier_start": "200001"},
        {"model": "gpt-4o-mini"},
        {"provider": "azure"},
    ],
)
def test_prices_of_different_things_neither_overlap_nor_leave_gaps(tmp_path: Path, values: dict[str, str]) -> None:
    assert len(read_prices(tmp_path, of_days(EARLY), of_days(LATE), of_days(("2025-07-01", ""), **values))) == 3


def test_a_tier_that_is_standard_is_the_same_named_or_not(tmp_path: Path) -> None:
    assert "overlaps" in refused(tmp_path, 3, price(), price(service_tier="standard", tier_start="0"))


# ---- whose file


def test_each_file_of_the_users_folder_comes_before_the_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, own = tmp_path / "project", tmp_path / "own"
    seed(project, "price_overrides.csv", HEADER, price(price="1"))
    seed(project, "model_aliases.csv", "provider,model,priced_provider,priced_model", "p,m,openai,gpt-4o")
    seed(own, "price_overrides.csv", HEADER, price(price="5"))
    assert overrides(project)[0].usd_per_unit == Decimal("0.000001")

    monkeypatch.setenv("LLMOPS_SEEDS", str(own))

    assert overrides(project)[0].usd_per_unit == Decimal("0.000005")
    assert aliases(project) == [Alias("p", "m", "openai", "gpt-4o")]
    seed(own, "model_aliases.csv", "provider,model,priced_provider,priced_model")
    assert aliases(project) == []


def test_a_folder_of_seeds_that_is_not_there_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_SEEDS", str(tmp_path / "typo"))
    with pytest.raises(ConfigurationError, match=r"LLMOPS_SEEDS: there is no folder \S+typo"):
        overrides(PROJECT_SEEDS)


def test_no_files_are_no_prices_and_no_aliases(tmp_path: Path) -> None:
    assert (overrides(tmp_path), aliases(tmp_path)) == ([], [])


# ---- other names


def alias(folder: Path, *lines: str) -> list[Alias]:
    seed(folder, "model_aliases.csv", "provider,model,priced_provider,priced_model", *lines)
    return aliases(folder)


def priced_as(found: Found | None) -> str | None:
    return f"{found.provider.id}/{found.model.id}" if found else None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("openai,,openai,gpt-4o", "model is missing: give a name, or a pattern such as models/*"),
        ("openai,a*b*,openai,gpt-4o", "model may hold one *, not 'a*b*'"),
        ("**,a,openai,gpt-4o", "provider may hold one *, not '**'"),
        ("openai,a,openai", "it must have 4 values"),
    ],
)
def test_an_alias_that_is_wrong_is_named(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        alias(tmp_path, "p,m,openai,gpt-4o", line)
    assert str(raised.value) == f"{tmp_path / 'model_aliases.csv'}, line 3: {reason}"


@pytest.mark.parametrize(
    ("line", "provider", "model", "expected"),
    [
        ("p,m,openai,gpt-4o", "p", "m", "openai/gpt-4o"),
        ("P,M,openai,gpt-4o", "p", "m", "openai/gpt-4o"),
        ("p,m,openai,gpt-4o", "P", "M", "openai/gpt-4o"),
        ("p,m,openai,gpt-4o", "p", "m2", None),
        ("p,m,openai,gpt-4o", None, "m", None),
        (",m,openai,gpt-4o", None, "m", "openai/gpt-4o"),
        ("*,m,openai,gpt-4o", "whoever", "m", "openai/gpt-4o"),
        ("p,*,openai,*", "p", "gpt-4o", "openai/gpt-4o"),
        ("p,*,openai,", "p", "gpt-4o", "openai/gpt-4o"),
        ("our-*,*,*,*", "our-openai", "gpt-4o", "openai/gpt-4o"),
        ("p,ours/*/v1,openai,*", "p", "ours/gpt-4o/v1", "openai/gpt-4o"),
        ("p,ft:*,openai,gpt-4o", "p", "ft:anything", "openai/gpt-4o"),
        ("openai,team-*,,*", "openai", "team-gpt-4o", "openai/gpt-4o"),
        # What means something in a pattern of another kind means itself.
        ("p,gpt.4o,openai,gpt-4o", "p", "gpt-4o", None),
        ("p,a(b)+[c],openai,gpt-4o", "p", "a(b)+[c]", "openai/gpt-4o"),
    ],
)
def test_an_alias_says_what_a_name_stands_for(
    tmp_path: Path, line: str, provider: str | None, model: str, expected: str | None
) -> None:
    assert priced_as(find(provider, model, alias(tmp_path, line))) == expected


def test_aliases_come_before_the_data_set_in_their_order(tmp_path: Path) -> None:
    some = alias(tmp_path, "openai,gpt-4o,openai,gpt-4", "openai,*,openai,gpt-4o-mini", "openai,o3,openai,o1")
    assert priced_as(find("openai", "gpt-4o", [])) == "openai/gpt-4o"
    assert priced_as(find("openai", "gpt-4o", some)) == "openai/gpt-4"
    assert priced_as(find("openai", "o3", some)) == "openai/gpt-4o-mini"


def test_an_alias_to_something_unknown_falls_through(tmp_path: Path) -> None:
    some = alias(tmp_path, "openai,gpt-4o,openai,gpt-99-typo", "openai,gpt-4o,nobody,gpt-4o-mini")
    assert priced_as(find("openai", "gpt-4o", some)) == "openai/gpt-4o"


def test_the_projects_aliases_resolve_the_names_of_telemetry() -> None:
    some = aliases(PROJECT_SEEDS)
    expected = {
        ("x_ai", "grok-3"): "x-ai/grok-3",
        ("gcp.gen_ai", "gemini-2.5-pro"): "google/gemini-2.5-pro",
        ("azure.ai.openai", "gpt-4o"): "openai/gpt-4o",
        ("google", "models/gemini-2.5-pro"): "google/gemini-2.5-pro",
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro"): "google/gemini-2.5-pro",
        ("openai", "openai/gpt-4o"): "openai/gpt-4o",
        ("openai", "davinci:2023-07-21-v2"): "openai/davinci-002",
        ("openai", "no-such-model"): None,
    }
    assert {name: priced_as(find(*name, some)) for name in expected} == expected


# ---- what SQL and Python both know


def macro(name: str) -> str:
    return (REPOSITORY / "dbt_project" / "macros" / "pricing" / f"{name}.sql").read_text()


def listed(text: str) -> list[str]:
    return text[text.index("return([") :].split("'")[1::2]


def test_sql_and_python_know_the_same_units_types_and_tiers() -> None:
    assert listed(macro("measured_units")) == list(MEASURED_UNITS)
    assert sorted(listed(macro("span_types"))) == sorted(SPAN_TYPES)
    assert set(re.findall(r"(?:then|else) '(\w+)'", macro("price_tier"))) == set(SERVICE_TIERS)
