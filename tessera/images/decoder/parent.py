"""The decoder's side of the talk with the process that started it.

The request is the first line of stdin, JSON; every further byte there lets this process write
one more file. Each line of stdout is one message, JSON. When stdin ends, the parent is gone, and
this process goes too, whatever its other threads are doing.
"""

import errno
import json
import os
import resource
import signal
from collections.abc import Callable
from threading import Lock, Semaphore, Thread
from typing import Any

from tessera.images.refusals import Limits, Reason, Refused

EXIT_PARENT_GONE = 75
OUTPUT_BYTES = 2**30
OPEN_FILES = 64


class Parent:
    def __init__(self) -> None:
        # libraries that print must not be able to write into the messages
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._saying = Lock()
        head, _, rest = self._first_line().partition(b"\n")
        self.request: dict[str, Any] = json.loads(head)
        self._room = Semaphore(self.request["waiting"])
        self._make_room(len(rest))
        Thread(target=self._listen, daemon=True).start()

    def say(self, **message: Any) -> None:
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._saying:
            while line:
                line = line[os.write(self._out, line) :]

    def wait_for_room(self) -> None:
        """Wait until the parent has taken enough files away for one more."""
        self._room.acquire()

    def _first_line(self) -> bytes:
        line = b""
        while b"\n" not in line:
            more = os.read(0, 1 << 16)
            if not more:
                os._exit(EXIT_PARENT_GONE)
            line += more
        return line

    def _listen(self) -> None:
        # os.read, not sys.stdin: its lock would block the interpreter's own exit
        while more := os.read(0, 1 << 16):
            self._make_room(len(more))
        os._exit(EXIT_PARENT_GONE)

    def _make_room(self, files: int) -> None:
        if files:
            self._room.release(files)


def serve(work: Callable[[Parent], None]) -> None:
    """Do the work under its limits and tell the parent how it ended."""
    # A stop of the service is asked of all its processes. The worker decides what becomes of this
    # one: it ends it by SIGKILL, or by its own end, which closes stdin.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)
    parent = Parent()
    limits = Limits(**parent.request["limits"])
    _limit(limits)
    try:
        work(parent)
    except Refused as refused:
        parent.say(refused=refused.reason, detail=refused.detail, evidence=refused.evidence)
    except MemoryError:
        parent.say(refused=Reason.TOO_MUCH_MEMORY, detail=too_much_memory(limits), evidence="")
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        parent.say(no_room=str(error))


def too_much_memory(limits: Limits) -> str:
    return (
        f"Decoding the file needs more than {limits.memory_bytes // 2**20} MB of memory. "
        "Saved as a baseline JPEG or a tiled TIFF it needs less."
    )


def _limit(limits: Limits) -> None:
    """Take away from this process what decoding does not need.

    The data segment and not the address space: libraries reserve far more than they touch. The
    number of processes is left alone, for Linux counts it per user and not per process.
    """
    _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    # at the second limit the kernel kills, and nobody could tell why
    _lower(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 5)
    _lower(resource.RLIMIT_FSIZE, OUTPUT_BYTES)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(what: int, soft: int, hard: int | None = None) -> None:
    _, ceiling = resource.getrlimit(what)
    most = hard or soft
    if ceiling != resource.RLIM_INFINITY:
        most = min(most, ceiling)
    resource.setrlimit(what, (min(soft, most), most))
