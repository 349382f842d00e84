"""A record that the raw store does not take, made one that it takes: the values that are wrong become unknown.

What an app's calls cost must not go missing because of one silly value: a NaN, -1 tokens, a name of 300 characters.
The reason is kept in the operation's `extras` (a session's `metadata`) under `refused`; a field that no table has is
kept there itself. Ids and times are not mended, since nobody knows what they should have been. The same record is
always mended in the same way, so that delivering it twice changes nothing.
"""

import copy
import json
import re
from typing import Any

from llmops_ingest import tables
from llmops_ingest.batches import prepare
from llmops_ingest.shapes import Record
from llmops_ingest.values import Context

_PLACE = re.compile(r"(?:(operations)\[(\d+)\])?\.?(?:(messages)\[(\d+)\])?\.?(.*)", re.DOTALL)
_IDENTIFYING = {"operation_id", "timestamp", ""}
_COLUMNS = {column for table in tables.RAW_TABLES for column in table.columns.keys()}  # noqa: SIM118 - not a dict
# Of one record; each look at it finds one.
_MOST_FAULTS = 100


def mended(record: Record) -> Record | None:
    """Return the record without what is wrong in it; None if nothing is wrong with it as such, or it cannot be helped.

    A record that contradicts a stored one is not wrong as such.
    """
    if not isinstance(record, dict):
        return None
    try:
        return _mended(record)
    except Exception:  # noqa: BLE001 - what cannot be mended is set aside; it must not keep the others waiting
        return None


def _mended(record: dict[str, Any]) -> Record | None:
    whole: dict[str, Any] = copy.deepcopy(record)
    for number in range(_MOST_FAULTS):
        rejects = prepare([1], [whole], None, Context.now()).rejects
        if not rejects:
            return whole if number else None
        if not _mend(whole, rejects[0].field, rejects[0].reason):
            return None
    return None


def _mend(record: dict[str, Any], field: str, reason: str) -> bool:
    """Take the field out and note why; tell whether that could be done."""
    match = _PLACE.fullmatch(field)
    if match is None:
        return False
    operations, operation_number, messages, message_number, name = match.groups()
    notes_in = "extras" if operations or "operations" not in record else "metadata"
    around: dict[str, Any] = record
    if operations:
        around = record["operations"][int(operation_number)]
    holder = around
    if messages:
        if not name:  # no message at all
            del around["messages"][int(message_number)]
            _note(around, notes_in, "messages", reason)
            return True
        holder = around["messages"][int(message_number)]
    if name not in holder or (name in _IDENTIFYING and holder is around):
        return False
    if name == "session_id" and not operations and "operations" in record:
        return False
    value = holder.pop(name)
    if name in _COLUMNS or name == "messages":
        _note(around, notes_in, name, reason)
    else:
        around[notes_in] = {name: value, **_facts(around.get(notes_in))}
    return True


def _note(around: dict[str, Any], notes_in: str, name: str, reason: str) -> None:
    facts = _facts(around.get(notes_in))
    refused = facts.get("refused")
    around[notes_in] = {**facts, "refused": {**(refused if isinstance(refused, dict) else {}), name: reason}}


def _facts(value: Any) -> dict[str, Any]:
    """Return the facts there are, which an app may also have handed over as the text of a JSON object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}
