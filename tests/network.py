"""Nothing but Postgres may be connected to while a transaction is open, whoever tries."""

import sys
from typing import Any

from tessera.kernel import db


def watch() -> None:
    """From now on and in this process; there is no way back."""
    sys.addaudithook(_refuse)


def _refuse(event: str, facts: tuple[Any, ...]) -> None:
    # what is kept open is not seen here: the store and the limits look for themselves
    if event == "socket.connect" and isinstance(facts[1], tuple) and not _for_postgres():
        db.forbid_in_transaction(f"connection to {facts[1]}")


def _for_postgres() -> bool:
    frame = sys._getframe()  # noqa: SLF001 - who called is only written there
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__", "").startswith("asyncpg."):
            return True
    return False
