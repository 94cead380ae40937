"""What a file says of each of many images, put in order on disk: files have it in any order."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import orjson

_TABLE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE said (name TEXT, at TEXT, value BLOB);
"""


class Pile:
    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def add(self, name: str, at: str, value: bytes) -> None:
        """Put one more on it.

        Args:
            name: Of an image.
            at: Where the file says it.
            value: As JSON.
        """
        self._table.execute("INSERT INTO said VALUES (?, ?, ?)", (name, at, value))

    def index(self) -> None:
        """Nothing comes any more, and it is asked what there is."""
        self._table.execute("CREATE INDEX of_name ON said (name)")

    def of(self, name: str) -> list[tuple[str, Any]]:
        """What is said of an image, in the order of the file."""
        rows = self._table.execute(
            "SELECT at, value FROM said WHERE name = ? ORDER BY rowid", (name,)
        )
        return [(at, orjson.loads(value)) for at, value in rows]


@contextmanager
def a_pile() -> Iterator[Pile]:
    """Empty; gone at the end."""
    with closing(sqlite3.connect("")) as table:
        table.executescript(_TABLE)
        yield Pile(table)
