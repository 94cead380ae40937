"""A whole Tessera for as long as a block lasts: servers, API and workers."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.places import Places, Say, listen
from deploy.embedded.process import Child, Program, StartFailed
from deploy.embedded.stack import Servers, Stack
from deploy.embedded.supervisor import api_on, app, interruptible, settings, why_not_ready

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
        port = listening.getsockname()[1]
        full = {**env, **settings(servers)}

        def child(program: Program) -> Child:
            return Child(program, places, say=say)

        child(
            app("migrate", (*_PYTHON, "alembic", "upgrade", "head"), full, _CHECKOUT)
        ).wait_until_done()
        api = child(api_on(listening, (*_PYTHON, "api"), full, _CHECKOUT))
        undo.callback(api.stop)
        undo.callback(child(app("workers", (*_PYTHON, "workers"), full, _CHECKOUT)).stop)
        _wait_until_ready(api, port)
        yield Instance(f"http://127.0.0.1:{port}", servers.database_url, servers)


def _wait_until_ready(api: Child, port: int) -> None:
    began = time.monotonic()
    while reason := why_not_ready(port):
        if api.exit_status is not None:
            raise StartFailed(api.obituary())
        if time.monotonic() - began > _READY_WITHIN:
            raise StartFailed(f"The API is not ready: {reason}\n{api.last_words()}")
        time.sleep(0.1)
