"""Ids: UUIDs as 36 lower-case characters, whatever an app uses to tell its records apart.

Takes UUIDs in any spelling and makes any other text or number a UUID, always the same one; it invents no id.
"""

import hashlib
import uuid
from typing import Any

from llmops_ingest.values import BadValue, Column, clean, shown

# Ids that are no UUIDs become UUIDv5s in this namespace; changing it would load every such record again.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "llmops-warehouse")
_UUID_OF_ZEROS = b"00000000-0000-0000-0000-000000000000"
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789abcdef", b"0" * 15)


def canonical_id(value: Any, kind: str) -> tuple[str, str | None]:
    """Return the UUID of an id and, where it is no UUID but became a UUIDv5 (always the same), its original."""
    if isinstance(value, uuid.UUID):
        return str(value), None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BadValue(f"must be a UUID or a text that identifies the record, not {shown(value)}")
    text = clean(str(value))
    try:
        return str(uuid.UUID(text)), None
    except ValueError:
        return derived_id(kind, text), text


def derived_id(*parts: str) -> str:
    """Return the UUIDv5 (RFC 9562) that stands for these texts; by hand, as `uuid.uuid5` takes twice as long."""
    digest = hashlib.sha1(NAMESPACE.bytes + ":".join(parts).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def ids_canonical(values: Column) -> bool:
    """Tell whether every value is a UUID in its usual spelling: 36 characters, lower case."""
    if set(map(type, values)) != {str} or set(map(len, values)) != {36}:
        return False
    # All ids in one string: each pass over it is one call in C.
    joined = "".join(values)
    return joined.isascii() and joined.encode().translate(_DIGITS_AS_ZERO) == _UUID_OF_ZEROS * len(values)
