"""Keyset pages: opaque cursors that say after which row the next page begins.

Pages neither shift nor repeat while rows arrive, none that was there at the first page is left
out, and no row is ever counted. Of rows that arrive meanwhile some may be left out, also of those
that come last: a row is as old as its transaction.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from tessera.kernel.errors import Invalid

After = tuple[datetime, UUID]
Id = TypeVar("Id")


class BadCursor(Invalid):
    code = "bad-cursor"


class Row(Protocol):
    """Anything with an age and an id."""

    created_at: Any
    id: Any


def encode(after: tuple[datetime, object]) -> str:
    created_at, id_ = after
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {id_}".encode()).decode()


def decode(cursor: str | None, id_type: Callable[[str], Id]) -> tuple[datetime, Id] | None:
    """Read a cursor back.

    Raises:
        BadCursor: It is none of ours.
    """
    if cursor is None:
        return None
    try:
        created_at, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), id_type(id_)
    except (ValueError, OverflowError, OSError) as error:
        raise BadCursor("This cursor is none of ours; begin with the first page.") from error


def cursor(items: Sequence[Row], limit: int) -> str | None:
    """Where the next page begins; none if this one is not full."""
    if len(items) < limit:
        return None
    return encode((items[-1].created_at, items[-1].id))
