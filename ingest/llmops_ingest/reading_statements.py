"""Turn a SQLAlchemy select into SQL and values for drivers that SQLAlchemy does not drive itself.

Values never become part of the SQL, and columns whose database type has no Arrow counterpart are cast in it. Nothing is
executed here.
"""

import datetime as dt
import decimal
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from llmops_ingest.errors import PermanentError

if TYPE_CHECKING:
    import pyarrow as pa

# A compiled bind parameter, or a percent sign that the compiler doubled to tell it from one.
_PLACEHOLDER = re.compile(r"%\(([^)]+)\)s|%%")


@dataclass(frozen=True)
class Statement:
    """SQL with placeholders, and their values in order."""

    sql: str
    values: list[Any]


def with_arrow_types(
    query: sa.Select[Any], schema: "pa.Schema", dialect: Dialect, native: tuple[type, ...]
) -> sa.Select[Any]:
    """Label the selected columns as in the schema, and cast what is to be a string or decimal but does not come so.

    `native` lists the dialect's types whose values the driver delivers as they are wanted.
    """
    import pyarrow as pa

    columns: list[sa.Label[Any]] = []
    for column, field in zip(query.selected_columns, schema, strict=True):
        if not isinstance(column.type.dialect_impl(dialect), native):
            if pa.types.is_string(field.type):
                column = sa.cast(column, sa.Text)
            elif pa.types.is_decimal(field.type):
                column = sa.cast(column, sa.Numeric(field.type.precision, field.type.scale))
        columns.append(column.label(field.name))
    return query.with_only_columns(*columns, maintain_column_froms=True)


def positional(query: sa.Select[Any], dialect: Dialect, placeholder: str) -> Statement:
    """Compile with one placeholder (such as `?`) per value. `dialect` must have the paramstyle "pyformat"."""
    compiled = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    values: list[Any] = []

    def replacement(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        values.append(compiled.params[match[1]])
        return placeholder

    return Statement(_PLACEHOLDER.sub(replacement, compiled.string), values)


# COPY, the fast way out of PostgreSQL, takes no parameters. So the values are bound in this statement, as settings of
# the transaction, and the query refers to these.
SETTINGS_SQL = (
    "SELECT count(set_config('llmops.p' || (position - 1), value, true))"
    " FROM jsonb_array_elements_text($1::text::jsonb) WITH ORDINALITY AS given (value, position)"
)


def through_settings(query: sa.Select[Any], dialect: Dialect) -> Statement:
    """Compile for PostgreSQL so that the values are read from the settings `llmops.p0`, `llmops.p1`, …

    The values returned are texts, for `SETTINGS_SQL` to bind as one JSON array. `dialect` must have the paramstyle
    "pyformat" and render casts with its parameters.
    """

    def reference(number: int, value: Any, _kind: object) -> str:
        setting = f"current_setting('llmops.p{number}')"
        if isinstance(value, list):
            return f"jsonb_array_elements_text({setting}::jsonb){_number_cast(value[0])}"
        return setting + _number_cast(value)

    statement = _with_references(query, dialect, reference)
    texts = [
        json.dumps([_setting(item) for item in value]) if isinstance(value, list) else _setting(value)
        for value in statement.values
    ]
    return Statement(statement.sql, texts)


def through_variables(query: sa.Select[Any], dialect: Dialect) -> Statement:
    """Compile for DuckDB so that the values are read from the variables `p0`, `p1`, …

    A query with parameters of its own would hold its whole result in memory, in DuckDB 1 by one way to run it, in
    DuckDB 2 by the other. The values returned are as given, with a list for each IN. `dialect` must have the paramstyle
    "pyformat".
    """

    def reference(number: int, value: Any, kind: object) -> str:
        variable = f"getvariable('p{number}')"
        return (f"unnest({variable})" if isinstance(value, list) else variable) + (
            "::UUID" if isinstance(kind, sa.Uuid) else ""
        )

    return _with_references(query, dialect, reference)


def _with_references(
    query: sa.Select[Any], dialect: Dialect, reference: Callable[[int, Any, object], str]
) -> Statement:
    """Compile with `reference(n, value, type)` in place of the n-th value, which is a list for an IN."""
    compiled = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    sql = compiled.string
    values: list[Any] = []

    def kind(name: str) -> object:
        return compiled.binds[name].type.dialect_impl(dialect)

    for base, names in compiled.construct_expanded_state().parameter_expansion.items():
        if not names:
            continue
        # `IN (%(a_1)s::T, %(a_2)s::T)` becomes an IN over the elements of one value, however many they are.
        elements = [compiled.params[name] for name in names]
        first = re.search(rf"%\({re.escape(names[0])}\)s((?:::[A-Z ]+)?)", sql)
        cast = first[1] if first else ""
        run = ", ".join(f"%({name})s{cast}" for name in names)
        sql = sql.replace(run, f"SELECT {reference(len(values), elements, kind(base))}{cast}")
        values.append(elements)

    def replacement(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        value = compiled.params[match[1]]
        if value is None:
            return "NULL"
        values.append(value)
        return reference(len(values) - 1, value, kind(match[1]))

    return Statement(_PLACEHOLDER.sub(replacement, sql), values)


def _number_cast(value: object) -> str:
    """Return the cast of a text to a number; those to other types are in the compiled SQL already."""
    if isinstance(value, bool):
        return "::boolean"
    if isinstance(value, int):
        return "::bigint"
    if isinstance(value, float):
        return "::double precision"
    return "::numeric" if isinstance(value, decimal.Decimal) else ""


def _setting(value: object) -> str:
    """Return a value as the text by which PostgreSQL reads it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        # A naive time is UTC. In UTC, because a column without a zone reads the text without its offset.
        return (value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str | int | float | decimal.Decimal | uuid.UUID):
        return str(value)
    raise PermanentError(f"a {type(value).__name__} cannot be a parameter")


def sqlite_value(value: object) -> object:
    """Return a value as SQLite stores it: times as UTC text with microseconds, ids as text, decimals as floats."""
    if isinstance(value, dt.datetime):
        naive = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return naive.isoformat(" ", "microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    return str(value) if isinstance(value, uuid.UUID) else value
