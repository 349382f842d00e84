"""What can be read by name, and where it is: raw tables in the raw store, marts beside them or in the DuckDB file.

Finds relations and their columns; it reads no rows. Columns of marts are looked up in the database, never listed here,
so that a mart added later can be read at once.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.reading import arrow_schema, open_reader
from llmops_ingest.tables import RAW_TABLES, llm_operations, llm_sessions

DEFAULT_MARTS_SCHEMA = "marts"
# Marts made for others to read; further relations of the schema can be read, but are not offered.
_PUBLIC = ("fct_", "dim_")

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "bigint": sa.BigInteger(), "integer": sa.BigInteger(), "smallint": sa.BigInteger(), "tinyint": sa.BigInteger(),
    "ubigint": sa.BigInteger(), "uinteger": sa.BigInteger(), "usmallint": sa.BigInteger(), "utinyint": sa.BigInteger(),
    "hugeint": sa.BigInteger(),
    "double": sa.Double(), "double precision": sa.Double(), "float": sa.Double(), "real": sa.Double(),
    "timestamp": sa.DateTime(), "timestamp without time zone": sa.DateTime(),
    "timestamp with time zone": sa.DateTime(timezone=True),
    "date": sa.Date(), "boolean": sa.Boolean(), "uuid": sa.Uuid(as_uuid=False),
    "varchar": sa.String(), "text": sa.String(), "character varying": sa.String(), "character": sa.String(),
    "json": sa.JSON(), "jsonb": sa.JSON(),
}  # fmt: skip

_CATALOG = sa.table(
    "columns",
    *(sa.column(name, sa.String) for name in ("table_schema", "table_name", "column_name", "data_type")),
    *(sa.column(name, sa.BigInteger) for name in ("ordinal_position", "numeric_precision", "numeric_scale")),
    schema="information_schema",
)


@dataclass(frozen=True)
class Relation:
    """Something that can be selected from: where it is and its columns by name, in order."""

    name: str
    url: URL
    source: sa.FromClause
    columns: Mapping[str, sa.ColumnElement[Any]]


def resolve(table: str | None, connection_string: str | URL | None, warehouse: str | Path | None) -> Relation:
    """Return the relation of that name.

    None is every operation with its session's `workspace` and `agent_id`, and with `session_created_at` and
    `session_metadata`. A raw table is in the raw store. A mart is in the DuckDB file `warehouse`; if none is named, in
    the raw store's PostgreSQL database if that has it, else in the file that `LLMOPS_WAREHOUSE` names. Raises
    ConfigurationError for any other name.
    """
    if table is None:
        return _operations_with_session(settings.sync_url(connection_string))
    if not isinstance(table, str):
        raise ConfigurationError(f"table must be a name, not {type(table).__name__}")
    for raw in RAW_TABLES:
        if table == raw.name:
            return Relation(table, settings.sync_url(connection_string), raw, dict(raw.columns))
    return _mart(table, _mart_urls(connection_string, warehouse))


def marts(connection_string: str | URL | None = None, warehouse: str | Path | None = None) -> tuple[URL, list[str]]:
    """Return where the marts are (or would be, if there are none) and the names of those made for others to read."""
    urls = _mart_urls(connection_string, warehouse)
    for url in urls:
        path = settings.file_path(url)
        if path is None or path.exists():
            names = sorted(name for name in _catalog(url, marts_schema()) if name.startswith(_PUBLIC))
            if names:
                return url, names
    return urls[0], []


def unknown(what: str, name: object, choices: Iterable[str]) -> ConfigurationError:
    """Return the error for a name that is not among the choices, with the nearest of them as a suggestion."""
    names = list(choices)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ConfigurationError(f"there is no {what} {name!r}.{hint} There are: {', '.join(names)}")


def _operations_with_session(url: URL) -> Relation:
    sessions = llm_sessions.c
    columns: dict[str, sa.ColumnElement[Any]] = dict(llm_operations.columns)
    columns |= {"workspace": sessions.workspace, "agent_id": sessions.agent_id}
    columns |= {"session_created_at": sessions.created_at, "session_metadata": sessions.metadata}
    # An outer join: an operation counts, whatever became of its session.
    source = llm_operations.outerjoin(llm_sessions, llm_operations.c.session_id == sessions.session_id)
    return Relation("operations with their session", url, source, columns)


def _mart_urls(connection_string: str | URL | None, warehouse: str | Path | None) -> list[URL]:
    """Return the databases to look for marts in, first choice first."""
    path = Path(warehouse).expanduser().absolute() if warehouse is not None else settings.warehouse_path()
    file = URL.create("duckdb", database=str(path))
    if warehouse is not None:
        return [file]
    raw = settings.sync_url(connection_string)
    return [raw, file] if settings.backend(raw) == "postgresql" else [file]


def _mart(table: str, urls: list[URL]) -> Relation:
    schema = marts_schema()
    found: set[str] = set()
    for url in urls:
        path = settings.file_path(url)
        if path is not None and not path.exists():
            continue
        relations = _catalog(url, schema)
        if table in relations:
            source = sa.table(table, *relations[table], schema=schema)
            return Relation(table, url, source, dict(source.columns))
        found |= relations.keys()
    public = sorted(name for name in found if name.startswith(_PUBLIC))
    error = unknown("table", table, [*(raw.name for raw in RAW_TABLES), *public])
    if public:
        raise error
    looked = " or ".join(settings.masked(url) for url in urls)
    raise ConfigurationError(f"{error}. No marts were found in {looked}: `llmops build` makes them")


def marts_schema() -> str:
    """Return the schema of the marts (`LLMOPS_MARTS_SCHEMA`)."""
    return os.environ.get("LLMOPS_MARTS_SCHEMA") or DEFAULT_MARTS_SCHEMA


def _catalog(url: URL, schema: str) -> dict[str, list[sa.ColumnClause[Any]]]:
    """Return the columns of every relation of the schema."""
    wanted = [column for column in _CATALOG.columns if column.name != "table_schema"]
    query = (
        sa.select(*wanted)
        .where(_CATALOG.c.table_schema == schema)
        .order_by(_CATALOG.c.table_name, _CATALOG.c.ordinal_position)
    )
    relations: dict[str, list[sa.ColumnClause[Any]]] = {}
    with open_reader(url, query, arrow_schema(wanted)) as reader:
        for row in reader.read_all().to_pylist():
            relations.setdefault(row["table_name"], []).append(sa.column(row["column_name"], _type(row)))
    return relations


def _type(row: Mapping[str, Any]) -> sa.types.TypeEngine[Any]:
    """Return the SQLAlchemy type of a row of the catalog; one that is not known is read as text."""
    name = re.sub(r"\(.*\)", "", row["data_type"]).lower()
    if name in ("numeric", "decimal"):
        return sa.Numeric(row["numeric_precision"], row["numeric_scale"])
    return _TYPES.get(name, sa.types.NullType())
