"""A whole Tessera for as long as a block lasts: servers, API and workers."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.places import Places, Say, listen
from deploy.embedded.process import Child, Program
from deploy.embedded.stack import Servers, Stack
from deploy.embedded.supervisor import (
    address_of,
    api_on,
    app,
    interruptible,
    settings,
    why_not_ready,
)

_CHECKOUT = Path(__file__).parents[2]
_PYTHON = (sys.executable, "-m")
_READY_WITHIN = 60.0


@dataclass(frozen=True)
class Instance:
    url: str
    database_url: str
    servers: Servers


@contextmanager
def instance(
    root: Path, *, env: Mapping[str, str], say: Say = print, durable: bool = True
) -> Iterator[Instance]:
    """Start everything under a root folder. Main thread only.

    Raises:
        AlreadyRunning: Another process uses the root folder.
        StartFailed: Something does not come up; says why.
    """
    places = Places.under(root)
    with interruptible(), places.alone(), ExitStack() as undo:
        stack = Stack(places, durable=durable, allow_origin=None, given=env, say=say)
        undo.callback(stack.stop)
        servers = stack.start()
        listening = undo.enter_context(listen("127.0.0.1", 0))  # any: nobody types it
        address = address_of(listening)
        full = {**env, **settings(servers)}

        def child(program: Program) -> Child:
            return Child(program, places, say=say)

        child(
            app("migrate", (*_PYTHON, "alembic", "upgrade", "head"), full, _CHECKOUT)
        ).wait_until_done()
        api = child(api_on(listening, (*_PYTHON, "api"), full, _CHECKOUT))
        undo.callback(api.stop)
        undo.callback(child(app("workers", (*_PYTHON, "workers"), full, _CHECKOUT)).stop)
        api.wait_until_ready(lambda: why_not_ready(address), _READY_WITHIN)
        yield Instance(f"http://{address}", servers.database_url, servers)
