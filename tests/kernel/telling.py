"""A worker in which everything goes wrong with a secret in hand: `python -m tests.kernel.telling`.

Its job, its sweep, a task that nobody waits for, and a library each fail on a row that holds the
secret; in the end so does the process.
"""

import asyncio
import gc
import logging
import os
from datetime import timedelta

import asyncpg
from sqlalchemy import text

from tessera.kernel import db
from tessera.kernel.jobs import Handler, Run
from tessera.kernel.logs import configure_logging
from tests.kernel.working import QUICK, until_held
from workers.runner import run
from workers.sweeps import Sweep

SECRET = "a canary in a row"
REFUSED = "INSERT INTO people (email, password_hash, name, kind) VALUES ('A', {}, 'n', 'earner')"
URL = os.environ.get("TESSERA_DATABASE_URL", "")


async def through_sqlalchemy(sessions: db.Sessions) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(text(REFUSED.format(":secret")), {"secret": SECRET})


async def through_asyncpg() -> None:
    connection = await asyncpg.connect(URL)
    try:
        await connection.execute(REFUSED.format("$1"), SECRET)
    finally:
        await connection.close()


async def fail(sessions: db.Sessions, _run: Run) -> None:
    await through_sqlalchemy(sessions)


async def mistake(sessions: db.Sessions, _run: Run) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(text("SELECT CAST(:n AS integer)"), {"n": SECRET})


async def main() -> None:
    configure_logging()
    engine = db.create_engine(URL, application_name="tests")
    sessions = db.create_sessions(engine)
    forgotten = asyncio.create_task(through_asyncpg())
    await asyncio.wait([forgotten])
    del forgotten
    gc.collect()  # asyncio now says that nobody asked for its exception
    try:
        await through_asyncpg()
    except asyncpg.PostgresError:
        logging.getLogger("library").exception("It did not work.")
    handlers: dict[str, Handler[db.Sessions]] = {"fail": fail, "mistake": mistake}
    stop = asyncio.Event()
    sweep = Sweep("sweep", timedelta(seconds=1), through_sqlalchemy)
    worker = asyncio.create_task(
        run(URL, handlers, sessions, stop=stop, sweeps=[sweep], pace=QUICK)
    )
    while len(await until_held(sessions)) < len(handlers):  # noqa: ASYNC110 - in the database
        await asyncio.sleep(0.05)
    stop.set()
    await worker
    await engine.dispose()
    await through_asyncpg()


if __name__ == "__main__":
    asyncio.run(main())
