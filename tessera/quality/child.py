"""The process that reads a file (`reading`): started, waited for, ended, whatever it does."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from tessera.quality.reading import MEMORY_BYTES, Request

ROOT = Path(__file__).parents[2]
EVIDENCE_BYTES = 4_096
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "PYTHONPATH": str(ROOT),
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
}


class Unusable(Exception):  # noqa: N818 - no mistake of ours
    """Nothing of a file can be taken; `code` is stable, and both are for its operator."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code, self.why = code, why


async def reading(request: Request, folder: Path) -> dict[str, Any]:
    """Have a file read; returns what `reading.read` does.

    Args:
        folder: For what it has to put somewhere; the caller's to empty.

    Raises:
        Unusable: It took too much, or crashed.
    """
    errors = folder / "errors"
    with errors.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-sP",
            "-m",
            "tessera.quality.reading",
            stdin=PIPE,
            stdout=PIPE,
            stderr=err,
            env={**_ENVIRONMENT, "TMPDIR": str(folder), "SQLITE_TMPDIR": str(folder)},
            start_new_session=True,
        )
    assert process.stdin is not None  # noqa: S101 - we asked for the pipes
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(orjson.dumps(asdict(request)) + b"\n")
        said = await process.stdout.read()
        code = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.stdout.read()
            await process.wait()
        process.stdin.close()
    if code != 0:
        raise _fate(code, errors.read_bytes()[-EVIDENCE_BYTES:].decode(errors="replace"))
    told: dict[str, Any] = orjson.loads(said)
    return told


def _fate(code: int, evidence: str) -> Exception:
    if "No space left on device" in evidence:
        return OSError("There is no disk space for reading annotations.")
    if code == -signal.SIGXCPU:
        return Unusable("too-slow", "Reading the file took too long; divide it.")
    if "MemoryError" in evidence or "Cannot allocate memory" in evidence:
        most = MEMORY_BYTES // 2**30
        return Unusable(
            "too-much-memory", f"Reading the file needs more than {most} GiB; divide it."
        )
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Unusable("reader-crashed", f"The reader stopped on this file ({how}).")
