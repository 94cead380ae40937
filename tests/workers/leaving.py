"""A worker that opens another bucket and is stopped: `python -m tests.workers.leaving`.

Says for each of its stores whether it is closed in the end.
"""

import asyncio
import os
import signal

from tessera.kernel.jobs import Run
from tessera.storage.context import JobContext
from tessera.storage.s3 import Store
from workers import __main__ as worker

opened: list[Store] = []


async def look_around(context: JobContext, _run: Run) -> None:
    opened.extend([context.store, context.bucket("another"), context.bucket("another")])
    await is_closed(context.store)
    os.kill(os.getpid(), signal.SIGTERM)


async def is_closed(store: Store) -> bool:
    try:
        await anext(store.list("nothing"), None)
    except RuntimeError:  # no call can be begun any more
        return True
    return False


vars(worker).update(HANDLERS={"look_around": look_around}, LIMITS={}, SWEEPS=())
asyncio.run(worker.main())
print("stores", len(set(map(id, opened))))  # noqa: T201
print("closed", [asyncio.run(is_closed(store)) for store in opened])  # noqa: T201
