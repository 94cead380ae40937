import asyncio
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from tessera.images.inspection import inspect
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Limits, NoRoom, Reason, Refused
from tessera.images.sandbox import WAITING, Child, decoder
from tessera.images.slicing import SlicedTile, Slices, slice_image
from tests.images.cutting import EXACT
from tests.images.pictures import saved, scene

SCENE = scene(900, 700)


@asynccontextmanager
async def slicing(
    folder: Path, policy: SlicePolicy = EXACT, limits: Limits | None = None
) -> AsyncIterator[Slices]:
    path = saved(folder, "a.png", SCENE)
    tiles = folder / "tiles"
    tiles.mkdir()
    facts = await inspect(path)
    async with slice_image(path, facts, policy, tiles, limits=limits or Limits()) as slices:
        yield slices


def decoders(parent: int | None = None) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(parent).children()
        if any("tessera.images.decoder" in word for word in child.cmdline())
    ]


async def reason(slices: Slices) -> Reason:
    with pytest.raises(Refused) as refused:
        async for piece in slices:
            slices.release(piece)
    assert refused.value.about_the_run
    return refused.value.reason


async def test_a_killed_decoder_is_a_refusal_that_may_be_tried_again(tmp_path: Path) -> None:
    async with slicing(tmp_path) as slices:
        await anext(aiter(slices))
        (child,) = decoders()
        child.send_signal(signal.SIGKILL)
        assert await reason(slices) is Reason.DECODER_CRASHED


async def test_a_decoder_ends_with_its_worker_and_not_because_everybody_is_asked_to(
    tmp_path: Path,
) -> None:
    """As a service manager asks all processes of a service at once."""
    async with slicing(tmp_path) as slices:
        pieces = aiter(slices)
        slices.release(await anext(pieces))
        (child,) = decoders()
        for kind in (signal.SIGTERM, signal.SIGINT):
            child.send_signal(kind)
        async for piece in pieces:
            slices.release(piece)


async def test_a_decoder_out_of_memory_is_refused(tmp_path: Path) -> None:
    plain = np.zeros((5000, 5000, 3), np.uint8)
    path = saved(tmp_path, "a.jpg", plain, progressive=True, subsampling=0)
    with pytest.raises(Refused) as refused:
        await inspect(path, Limits(memory_bytes=120 * 2**20))
    assert refused.value.reason is Reason.TOO_MUCH_MEMORY
    assert "120 MB" in refused.value.detail


async def test_a_decoder_out_of_cpu_time_is_refused(tmp_path: Path) -> None:
    slow = SlicePolicy(format=TileFormat.WEBP, tile=96, margin=40)
    async with slicing(tmp_path, slow, Limits(cpu_seconds=1)) as slices:
        assert await reason(slices) is Reason.TOO_SLOW


async def test_a_decoder_that_falls_silent_is_refused(tmp_path: Path) -> None:
    async with slicing(tmp_path) as slices:
        await anext(aiter(slices))
        (child,) = decoders()
        slices._child._limits = Limits(seconds=1)  # noqa: SLF001
        child.suspend()
        assert await reason(slices) is Reason.TOO_SLOW
    assert not decoders()


async def test_a_decoder_that_checks_a_file_gives_signs_of_life(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", SCENE)
    async with decoder("inspect", {"path": str(path)}, Limits()) as child:
        assert "percent" in await child.hear()
        while "facts" not in (message := await child.hear()):
            assert "percent" in message


@pytest.mark.parametrize(
    "script",
    [
        "while True: print('x' * 2**20)",  # until the pipe is full, and then it waits
        "import os, time; os.close(1); time.sleep(600)",
    ],
)
async def test_a_decoder_that_says_no_more_sense_and_lives_on_is_refused(script: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    child = Child(process, Limits(seconds=1))
    async with asyncio.timeout(20):
        with pytest.raises(Refused) as refused:
            await child.hear()
        await child.end()
    assert refused.value.reason is Reason.DECODER_CRASHED
    assert not psutil.pid_exists(process.pid)


async def test_a_slow_reader_is_not_taken_for_a_silent_decoder(tmp_path: Path) -> None:
    async with slicing(tmp_path) as slices:
        pieces = aiter(slices)
        held = [await anext(pieces) for _ in range(WAITING)]
        slices._child._limits = Limits(seconds=1)  # noqa: SLF001
        one_more = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(1.5)
        assert not one_more.done()
        slices.release(held.pop())
        assert isinstance(await one_more, SlicedTile)


async def test_no_more_files_wait_than_agreed(tmp_path: Path) -> None:
    async with slicing(tmp_path) as slices:
        pieces = aiter(slices)
        held = [await anext(pieces) for _ in range(WAITING)]
        await asyncio.sleep(1)
        files = list((tmp_path / "tiles").iterdir())
        assert len(files) == WAITING == len(held)


async def test_leaving_early_ends_the_decoder(tmp_path: Path) -> None:
    async with slicing(tmp_path) as slices:
        await anext(aiter(slices))
        assert len(decoders()) == 1
    assert not decoders()


async def test_a_full_disk_is_not_the_fault_of_the_file(tmp_path: Path) -> None:
    async with slicing(tmp_path) as slices:
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / EXACT.file_name(0)).symlink_to("/dev/full")
    path = tmp_path / "a.png"
    with pytest.raises(NoRoom):
        async with slice_image(path, await inspect(path), EXACT, tmp_path / "full") as slices:
            async for piece in slices:
                slices.release(piece)


async def test_the_decoder_sees_none_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_KEY", "open sesame")
    async with slicing(tmp_path) as slices:
        await anext(aiter(slices))
        (child,) = decoders()
        assert "S3_SECRET_KEY" not in child.environ()
        assert "PATH" in child.environ()


ORPHAN = """
import asyncio, sys
from pathlib import Path
from tests.images.test_sandbox import slicing

async def main():
    async with slicing(Path(sys.argv[1])) as slices:
        await anext(aiter(slices))
        print("started", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_the_decoder_dies_with_its_parent(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)], cwd=root, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        (child,) = decoders(parent.pid)
        parent.kill()
        assert child in psutil.wait_procs([child], timeout=20)[0]


def test_the_decoder_loads_no_database_and_no_web() -> None:
    heavy = "{'sqlalchemy', 'asyncpg', 'pydantic', 'boto3', 'fastapi', 'asyncio'}"
    script = f"""
import sys, tessera.images.decoder.inspect, tessera.images.decoder.slice
print(sorted({heavy} & set(sys.modules)))
"""
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == "[]\n"
