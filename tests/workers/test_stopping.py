import asyncio
import os
import subprocess
import sys

import pytest

from tessera.kernel import db, jobs
from tessera.kernel.settings import Settings
from tests.workers.process import environment


@pytest.mark.long
async def test_a_worker_that_stops_closes_every_store_that_it_has_opened(
    sessions: db.Sessions, settings: Settings
) -> None:
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "look_around", payload={})
    told = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.workers.leaving"],
        env={**os.environ, **environment(settings)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines()[-2:] == ["stores 2", "closed [True, True, True]"]
