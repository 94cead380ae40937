"""Keep the servers, the API and the workers up until somebody says stop.

Everything is started and watched from the main thread, by one loop: a child lives no longer
than the thread that started it.
"""

import http.client
import os
import shlex
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from deploy.embedded.places import Places, Say, listen
from deploy.embedded.process import Child, Program, StartFailed
from deploy.embedded.stack import Servers, Stack

_PORT = 8000
_LOOK_EVERY = 0.2
_SAY_EVERY = 3.0
_READY_WITHIN = 120.0
_APPS_STOP_WITHIN = 30.0
"""Workers have 20 s to give their jobs back, the API 10 s for its last requests."""
_ANSWERS_WITHIN = 2.0
_GIVE_UP_AFTER = 3
_STEADY = 30.0
_LONGEST_PAUSE = 30.0

FRUGAL = {"MALLOC_ARENA_MAX": "2"}
"""For our processes: glibc keeps what is free for each thread apart, up to 8 MB in a worker."""

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What to run on the servers.

    Attributes:
        root: Where all data lie.
        cwd: Where the commands run.
        migrate: Ends with 0 before anything else starts.
        api: Gets a socket that listens as TESSERA_API_FD.
        workers: Are started after the API, and stopped after it.
        seed: Runs once the API is ready; must be harmless when repeated.
    """

    root: Path
    cwd: Path
    migrate: Argv
    api: Argv
    workers: Argv
    seed: Argv


def up(plan: Plan, *, given: Mapping[str, str] = os.environ, say: Say = print) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP, then stop it in order.

    Raises:
        AlreadyRunning: Another process uses the root folder.
        StartFailed: Something does not come up; says why.
    """
    places = Places.under(plan.root)
    with interruptible(), places.alone(), ExitStack() as undo:
        listening = undo.enter_context(_listening(given, places))
        host, port = listening.getsockname()[:2]
        if not given.get("TESSERA_API_PORT") and port != _PORT:
            say(f"· the API is at port {port}: {_PORT} is taken, or was at an earlier start")
        address = address_of(listening)
        origin = f"http://{address}"
        stack = Stack(places, durable=True, allow_origin=origin, given=given, say=say)
        undo.callback(stack.stop)
        servers = settings(stack.start())
        places.keep("settings.sh", exports(servers))
        env = {
            "TESSERA_DECISIONS_EVERY": "PT10S",  # whoever tries this out wants to see money move
            **given,
            **servers,
            "PYTHONUNBUFFERED": "1",
            "TESSERA_API_HOST": host,
            "TESSERA_API_PORT": str(port),
        }
        say("· bringing the database up to date")
        Child(app("migrate", plan.migrate, env, plan.cwd), places, say=say).wait_until_done()
        kept: list[Kept] = []
        undo.callback(_stop_in_order, kept)
        api = api_on(listening, plan.api, env, plan.cwd)
        kept.append(Kept(api, places, say=say))
        kept.append(Kept(app("workers", plan.workers, env, plan.cwd), places, say=say))
        _wait_until_ready(stack, kept, address, say)
        seed = Child(app("seed", plan.seed, env, plan.cwd), places, say=say)
        undo.callback(seed.stop)
        _watch(stack, kept, seed, say, f"· {origin} is up; Ctrl-C stops everything")


def _listening(given: Mapping[str, str], places: Places) -> socket.socket:
    """Where the environment says; else where the API listened in the last run, if it can.

    Raises:
        StartFailed: Somebody else listens where the environment says, or nobody here can.
    """
    host = given.get("TESSERA_API_HOST") or "127.0.0.1"
    port = given.get("TESSERA_API_PORT")
    try:
        return listen(host, int(port)) if port else places.listener("api", host, _PORT)
    except OSError as error:
        where = f"{host}, port {port}" if port else host
        raise StartFailed(f"The API cannot listen on {where}: {error}") from error


def settings(servers: Servers) -> dict[str, str]:
    """The servers, in the words of the application's settings."""
    return {
        "TESSERA_DATABASE_URL": servers.database_url,
        "TESSERA_REDIS_URL": servers.redis_url,
        "TESSERA_S3_ENDPOINT": servers.s3_endpoint,
        "TESSERA_S3_ACCESS_KEY": servers.s3_access_key,
        "TESSERA_S3_SECRET_KEY": servers.s3_secret_key,
        "TESSERA_S3_BUCKET": servers.s3_bucket,
    }


def exports(settings: Mapping[str, str]) -> str:
    """Lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())


class Kept:
    """A child that is started again when it ends, after ever longer pauses."""

    def __init__(self, program: Program, places: Places, *, say: Say) -> None:
        self._program, self._places, self._say = program, places, say
        self.failures = 0
        self._again_at: float | None = None
        self._start()

    def tend(self) -> None:
        now = time.monotonic()
        if self._again_at is not None:
            if now >= self._again_at:
                self._start()
        elif self.child.exit_status is not None:
            self.failures = 1 if now - self._began > _STEADY else self.failures + 1
            pause = min(2.0 ** (self.failures - 2), _LONGEST_PAUSE)
            self._say(f"! {self.child.obituary()}\n· starting it again in {pause:g} s")
            self._again_at = now + pause

    def stop(self) -> None:
        if self.child.exit_status is None:
            self._say(f"· stopping {self._program.name}")
        self.child.stop()

    def _start(self) -> None:
        self._again_at = None
        self._began = time.monotonic()
        self.child = Child(self._program, self._places, say=self._say)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, once: cleaning up is not interrupted."""
    asked = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise KeyboardInterrupt

    kinds = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means it
        kinds.append(signal.SIGHUP)
    before = [signal.signal(kind, stop) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _stop_in_order(kept: list[Kept]) -> None:
    with ExitStack() as first_first:  # it goes on when one of them fails to stop
        for app in reversed(kept):
            first_first.callback(app.stop)


def app(name: str, argv: Argv, env: Mapping[str, str], cwd: Path) -> Program:
    # SIGKILL for an orphan: an API that waits for its last connection would never end, and the
    # application loses nothing when it is killed.
    draining = float(env.get("TESSERA_DRAIN_SECONDS") or 0)
    return Program(
        name,
        argv,
        {**FRUGAL, **env},
        cwd,
        orphan_signal=signal.SIGKILL,
        patience=_APPS_STOP_WITHIN + draining,
    )


def api_on(listening: socket.socket, argv: Argv, env: Mapping[str, str], cwd: Path) -> Program:
    """The API on a socket of ours: while it restarts, the port is held, and who calls waits."""
    file = listening.fileno()
    program = app("api", argv, {**env, "TESSERA_API_FD": str(file)}, cwd)
    return replace(program, files=(file,))


def address_of(listening: socket.socket) -> str:
    """Host and port by which this machine reaches it, as in a URL."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is asked, not bound
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _wait_until_ready(stack: Stack, kept: list[Kept], address: str, say: Say) -> None:
    began = said = time.monotonic()
    while reason := why_not_ready(address):
        now = time.monotonic()
        if now - said > _SAY_EVERY:
            said = now
            say(f"· waiting for the API ({now - began:.0f} s): {reason}")
        stack.revive()
        for app in kept:
            app.tend()
            if app.failures >= _GIVE_UP_AFTER:
                raise StartFailed(app.child.obituary())
        if now - began > _READY_WITHIN:
            raise StartFailed(f"The API is not ready: {reason}\n{kept[0].child.last_words()}")
        time.sleep(_LOOK_EVERY)


def why_not_ready(address: str) -> str | None:
    connection = http.client.HTTPConnection(address, timeout=_ANSWERS_WITHIN)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read(300).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error) or repr(error)
    finally:
        connection.close()
    return None if response.status == http.HTTPStatus.OK else f"{response.status} {body}"


def _watch(stack: Stack, kept: list[Kept], seed: Child, say: Say, done: str) -> None:
    seeding = True
    while True:
        if seeding:
            seeding = seed.exit_status is None
            for line in seed.read_on():
                say(line)
            if not seeding:
                say(f"! {seed.obituary()}\n{done}" if seed.exit_status else done)
        stack.revive()
        for app in kept:
            app.tend()
        time.sleep(_LOOK_EVERY)
