import asyncio
from datetime import timedelta

from workers.grace import Grace, Stopped


async def test_a_stop_reaches_the_others_when_the_time_of_one_is_just_over() -> None:
    stop = asyncio.Event()
    grace = Grace(stop, timedelta())

    async def hang() -> None:
        async with grace.within():
            await asyncio.sleep(3600)

    async def unwind() -> None:
        async with grace.within(timedelta(milliseconds=1)):
            try:
                await asyncio.sleep(3600)
            finally:
                stop.set()
                await watch

    watch = asyncio.create_task(grace.watch())
    async with asyncio.timeout(60):
        endings = await asyncio.gather(hang(), unwind(), hang(), watch, return_exceptions=True)
    assert [type(ending) for ending in endings] == [Stopped, Stopped, Stopped, type(None)]
