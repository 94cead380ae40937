"""Run Tessera, or only its servers, on this machine."""

import argparse
import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from deploy.embedded import tether
from deploy.embedded.places import Places
from deploy.embedded.stack import Stack
from deploy.embedded.supervisor import Plan, exports, interruptible, settings, up
from tessera.kernel.errors import DomainError

_CHECKOUT = Path(__file__).parents[2]
_PYTHON = (sys.executable, "-m")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded", description=__doc__)
    parser.add_argument(
        "command",
        choices=["up", "servers"],
        help="up: servers, migrations, API, workers, demo project; servers: only the three "
        "servers, printing `export` lines. Ctrl-C stops all of it.",
    )
    parser.add_argument("--root", type=Path, default=_CHECKOUT / "var", help="folder for all data")
    words = parser.parse_args()
    if "MAKELEVEL" in os.environ:  # make is only our wrapper: when it is killed, we stop too
        tether.die_with_parent(signal.SIGTERM)
    try:
        _servers(words.root) if words.command == "servers" else _up(words.root)
    except KeyboardInterrupt:
        _mutter("· stopped")
    except DomainError as error:
        sys.exit(f"! {error.detail}")


def _up(root: Path) -> None:
    plan = Plan(
        root=root,
        cwd=_CHECKOUT,
        migrate=(*_PYTHON, "alembic", "upgrade", "head"),
        api=(*_PYTHON, "api"),
        workers=(*_PYTHON, "workers"),
        seed=(*_PYTHON, "demo.seed"),
    )
    up(plan, say=_say)


def _servers(root: Path) -> None:
    places = Places.under(root)
    with interruptible(), places.alone(), ExitStack() as undo:
        stack = Stack(places, durable=True, allow_origin=None, given=os.environ, say=_mutter)
        undo.callback(stack.stop)
        _say(exports(settings(stack.start())).rstrip())
        while True:
            stack.revive()
            time.sleep(0.2)


def _say(line: str) -> None:
    # A terminal that is gone must not keep us from stopping the children.
    with suppress(OSError):
        print(line, flush=True)


def _mutter(line: str) -> None:
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
