"""A decoder process: started, listened to, and ended, whatever it does.

It guards the machine against what a file makes a decoder do: endless loops, all the memory, a
crash. It runs as the same user, so it is no wall against a decoder that was taken over; what
such a decoder does not find is this process's environment, and so its credentials.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tessera.images.refusals import Limits, NoRoom, Reason, Refused

ROOT = Path(__file__).parents[2]
EVIDENCE_BYTES = 4096
WAITING = 64
"""Files that may wait to be taken away before the child makes no more."""
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "PYTHONPATH": str(ROOT),
    "VIPS_WARNING": "0",
    # memory grows with the threads, and one of them decodes for all
    "VIPS_CONCURRENCY": str(min(4, os.cpu_count() or 1)),
    # one arena per thread would triple the memory of a decoder that streams
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
}
_MEMORY_WORDS = ("MemoryError", "failed to allocate", "bad_alloc", "Cannot allocate memory")


class Child:
    """The parent's side of the talk; the other side is `decoder.parent`."""

    def __init__(self, process: Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._evidence = b""
        self._listening = asyncio.create_task(self._collect_evidence())

    async def hear(self, patient: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """The next message.

        Args:
            patient: Whether the child may be waiting for us, so that its silence proves nothing.

        Raises:
            Refused: The child said so, fell silent, ran out of something or crashed.
            NoRoom: The disk is full.
        """
        line = await self._line(patient)
        if not line.endswith(b"\n"):
            raise await self._fate()
        message: dict[str, Any] = json.loads(line)
        if "no_room" in message:
            raise NoRoom("There is no disk space for slicing images.")
        if "refused" in message:
            raise Refused(
                Reason(message["refused"]), message["detail"], evidence=message["evidence"]
            )
        return message

    def let_write(self) -> None:
        """Let the child write one more file."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(b"+")

    async def end(self) -> None:
        """Kill what is left of it; nothing it started survives."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.stdout is not None  # noqa: S101 - we asked for the pipe
        # asyncio sees no end behind output that nobody reads
        await self._process.stdout.read()
        await self._process.wait()
        await self._listening
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _line(self, patient: Callable[[], bool]) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - we asked for the pipe
        while True:
            try:
                async with asyncio.timeout(self._limits.seconds):
                    return await self._process.stdout.readline()
            except TimeoutError:
                if not patient():
                    detail = (
                        f"Decoding the file stood still for {self._limits.seconds:.0f} seconds."
                    )
                    raise Refused(Reason.TOO_SLOW, detail) from None
            except ValueError:  # a line without end
                return b""

    async def _fate(self) -> Exception:
        # it may have closed its output, or filled it with nonsense, and live on
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.seconds):
                await self._process.wait()
        await self.end()
        code = await self._process.wait()
        evidence = self._evidence.decode(errors="replace")
        if code == -signal.SIGXCPU:
            seconds = self._limits.cpu_seconds
            return Refused(Reason.TOO_SLOW, f"Decoding the file took over {seconds} CPU seconds.")
        if any(words in evidence for words in _MEMORY_WORDS):
            most = self._limits.memory_bytes // 2**20
            detail = f"Decoding the file needs more than {most} MB of memory."
            return Refused(Reason.TOO_MUCH_MEMORY, detail, evidence=evidence)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        detail = f"The decoder stopped on this file ({how})."
        return Refused(Reason.DECODER_CRASHED, detail, evidence=evidence)

    async def _collect_evidence(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - we asked for the pipe
        while more := await self._process.stderr.read(EVIDENCE_BYTES):
            self._evidence = (self._evidence + more)[-EVIDENCE_BYTES:]


@asynccontextmanager
async def decoder(module: str, request: Mapping[str, Any], limits: Limits) -> AsyncIterator[Child]:
    """Run a module of `tessera.images.decoder` in a process of its own, until the block ends.

    If this process dies, the child sees its stdin end, and goes too.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-sP",
        "-m",
        f"tessera.images.decoder.{module}",
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=_ENVIRONMENT,
        start_new_session=True,
    )
    child = Child(process, limits)
    try:
        assert process.stdin is not None  # noqa: S101 - we asked for the pipe
        line = json.dumps({**request, "limits": asdict(limits), "waiting": WAITING})
        process.stdin.write(line.encode() + b"\n")
        yield child
    finally:
        await child.end()
