"""Assemble the SELECT of `polars_from_db`: columns, groups, aggregates, order and limit.

Every name is looked up among the relation's columns, so that none reaches the SQL unquoted, and every unknown one is a
ConfigurationError that names the choices. Builds statements and runs none. What would differ between databases is made
the same: unknown values sort last, texts sort by code point, sums of integers are integers and means are floats.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from llmops_analysis.relations import Relation, unknown
from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.reading import DEFAULT_PRECISION, DEFAULT_SCALE

Columns = Mapping[str, sa.ColumnElement[Any]]

# Stands for the row itself in `aggregate`, where only "count" makes sense of it.
ROWS = "*"


def select(
    relation: Relation,
    conditions: Sequence[sa.ColumnElement[bool]],
    *,
    columns: str | Iterable[str] | None,
    group_by: str | Iterable[str] | None,
    aggregate: Mapping[str, str | tuple[str, str]] | None,
    order_by: str | tuple[str, str] | Iterable[str | tuple[str, str]] | None,
    limit: int | None,
) -> sa.Select[Any]:
    """Return the select; its columns are named as they will be in the frame."""
    groups = _names("group_by", group_by)
    outputs: Columns = relation.columns
    if groups or aggregate:
        outputs = {name: _comparable(relation.columns, name) for name in groups}
        outputs |= _aggregates(relation, aggregate or {"count": (ROWS, "count")}, taken=groups)
    chosen = _names("columns", columns) if columns is not None else list(outputs)
    if not chosen:
        raise ConfigurationError("columns is empty: name at least one, or leave it out for all")
    query = sa.select(*(_found(outputs, name).label(name) for name in chosen)).select_from(relation.source)
    query = query.where(*conditions).group_by(*(outputs[name] for name in groups))
    sortable = outputs if groups or aggregate else relation.columns
    for name, descending in _order(order_by):
        query = query.order_by(*_sort_keys(relation, _found(sortable, name), descending))
    return query if limit is None else query.limit(_limit(limit))


def _names(argument: str, given: str | Iterable[str] | None) -> list[str]:
    names = [] if given is None else [given] if isinstance(given, str) else list(given)
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{argument} names {name!r} twice")
    return names


def _found(columns: Columns, name: object) -> sa.ColumnElement[Any]:
    if not isinstance(name, str) or name not in columns:
        raise unknown("column", name, columns)
    return columns[name]


def _comparable(columns: Columns, name: object) -> sa.ColumnElement[Any]:
    column = _found(columns, name)
    if isinstance(column.type, sa.JSON):
        raise ConfigurationError(f"{name} is JSON, which databases neither sort nor compare alike")
    return column


def _aggregates(
    relation: Relation, aggregate: Mapping[str, str | tuple[str, str]], taken: Sequence[str]
) -> dict[str, sa.ColumnElement[Any]]:
    result: dict[str, sa.ColumnElement[Any]] = {}
    for output, asked in aggregate.items():
        source, function = (output, asked) if isinstance(asked, str) else _pair("aggregate", asked)
        if output in taken:
            raise ConfigurationError(f"aggregate {output!r} has the name of a column of group_by: give it another one")
        if function not in _FUNCTIONS:
            raise unknown("aggregate function", function, _FUNCTIONS)
        if source == ROWS and function == "count":
            result[output] = sa.func.count()
        else:
            result[output] = _FUNCTIONS[function](relation, _comparable(relation.columns, source), source)
    return result


def _pair(argument: str, value: object) -> tuple[str, str]:
    if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return value[0], value[1]
    raise ConfigurationError(f"{argument} holds {value!r}, where a pair of two texts is expected")


def _count(_relation: Relation, column: sa.ColumnElement[Any], _name: str) -> sa.ColumnElement[Any]:
    return sa.func.count(column)


def _n_unique(_relation: Relation, column: sa.ColumnElement[Any], _name: str) -> sa.ColumnElement[Any]:
    return sa.func.count(sa.distinct(column))


def _sum(_relation: Relation, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    kind = _number(column, name)
    total: sa.ColumnElement[Any] = sa.func.sum(column)
    if isinstance(kind, sa.Integer):
        return sa.cast(total, sa.BigInteger)
    if isinstance(kind, sa.Float | sa.Double):
        return sa.type_coerce(total, sa.Double)
    scale = DEFAULT_SCALE if kind.scale is None else kind.scale
    return sa.type_coerce(total, sa.Numeric(DEFAULT_PRECISION, scale))


def _mean(_relation: Relation, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    _number(column, name)
    return sa.type_coerce(sa.func.avg(sa.cast(column, sa.Double)), sa.Double)


def _min(relation: Relation, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    return _extreme(sa.func.min, relation, column, name)


def _max(relation: Relation, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    return _extreme(sa.func.max, relation, column, name)


def _extreme(
    function: Callable[..., sa.ColumnElement[Any]], relation: Relation, column: sa.ColumnElement[Any], name: str
) -> sa.ColumnElement[Any]:
    if isinstance(column.type, sa.Boolean):
        raise ConfigurationError(f"{name} is true or false, which has no least and greatest")
    if _is_postgresql(relation) and isinstance(column.type, sa.String | sa.Uuid):
        column = sa.cast(column, sa.Text)  # which min and max, unlike UUIDs, know in every version
    return sa.type_coerce(function(_by_code_point(relation, column)), column.type)


def _number(column: sa.ColumnElement[Any], name: str) -> sa.Integer | sa.Numeric[Any]:
    if not isinstance(column.type, sa.Integer | sa.Numeric | sa.Float | sa.Double):
        raise ConfigurationError(f"{name} is no number: only count, n_unique, min and max apply to it")
    return column.type  # type: ignore[return-value]


_FUNCTIONS: dict[str, Callable[[Relation, sa.ColumnElement[Any], str], sa.ColumnElement[Any]]] = {
    "count": _count, "sum": _sum, "mean": _mean, "min": _min, "max": _max, "n_unique": _n_unique,
}  # fmt: skip


def _order(given: str | tuple[str, str] | Iterable[str | tuple[str, str]] | None) -> list[tuple[str, bool]]:
    """Return names and whether they sort descending, from any of the forms of `order_by`."""
    if given is None:
        return []
    single = isinstance(given, str) or (isinstance(given, tuple) and given[1:] in (("asc",), ("desc",)))
    result = []
    for key in [given] if single else given:
        if isinstance(key, str):
            result.append((key.removeprefix("-"), key.startswith("-")))
            continue
        name, direction = _pair("order_by", key)
        if direction not in ("asc", "desc"):
            raise unknown("direction", direction, ("asc", "desc"))
        result.append((name, direction == "desc"))
    return result


def _sort_keys(relation: Relation, column: sa.ColumnElement[Any], descending: bool) -> list[sa.ColumnElement[Any]]:
    key = _by_code_point(relation, column)
    key = key.desc() if descending else key.asc()
    if getattr(column, "nullable", True) is False:
        return [key]  # which lets the database use an index
    return [sa.case((column.is_(None), 1), else_=0), key]


def _by_code_point(relation: Relation, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return what sorts a text by code point: PostgreSQL alone sorts it by the rules of some language."""
    if not _is_postgresql(relation) or not isinstance(column.type, sa.String):
        return column
    stored = column.type.dialect_impl(relation.url.get_dialect()())
    return column if isinstance(stored, sa.Uuid) else sa.collate(column, "C")


def _is_postgresql(relation: Relation) -> bool:
    return settings.backend(relation.url) == "postgresql"


def _limit(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ConfigurationError(f"limit must be a whole number from 0, not {limit!r}")
    return limit
