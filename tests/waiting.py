"""For races that shall really happen: act when somebody stands at a lock, not some time later."""

import asyncio

from sqlalchemy import text

from tessera.kernel import db

_AT_LOCKS = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


async def until_locks_are_waited_for(sessions: db.Sessions, least: int = 1) -> None:
    """Until so many transactions wait for what another one holds; for four seconds at most."""
    async with asyncio.timeout(4):
        while True:
            async with db.reading(sessions) as reader:  # within one, the answer stays the same
                if (await reader.execute(_AT_LOCKS)).scalar_one() >= least:
                    return
            await asyncio.sleep(0.01)
