"""Hundreds who ask for work in the same second, of a server that is a process of its own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from httpx2 import AsyncClient, Limits, Response

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tests.api.serving import serving
from tests.assignment.crowd import a_project, audit, number
from tests.assignment.door import answer, given, lease, wanted
from tests.assignment.many import many_earners
from tests.client import As

MOST = 500
TIMEOUT = 30
"""Seconds in which everybody has an answer; the server's own limits are 10 for a connection and 15
for a statement, and a slow machine answers the last with 503 and when to come again."""
TIRED_AFTER = 5
ORDINARY = "SELECT count(*) FROM leases WHERE lane < 2"
LEFT = "SELECT count(*) FROM queue_entries WHERE lane < 2"


@pytest.fixture(scope="module")
async def outside(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AsyncClient]:
    with serving(settings, tmp_path_factory.mktemp("api") / "log") as served:
        limits = Limits(max_connections=MOST)
        async with AsyncClient(base_url=served.url, limits=limits, timeout=TIMEOUT) as http:
            yield http


async def at_once(earners: Sequence[As], body: object) -> list[Response]:
    return await asyncio.gather(*(asking(each, body) for each in earners))


async def asking(earner: As, body: object) -> Response:
    """Ask; of a server that is too busy, again when it says."""
    for _ in range(TIRED_AFTER):
        response = await earner.call("POST", "/v1/work/leases", body)
        if response.status_code != 503:
            break
        await asyncio.sleep(int(response.headers["Retry-After"]))
    return response


def sorted_out(responses: Sequence[Response]) -> Counter[str]:
    """How many got work, and how many were told why not and when to come again."""
    counted: Counter[str] = Counter()
    for response in responses:
        assert response.status_code == 200, response.text
        told = response.json()
        assert bool(told["leases"]) is (told["reason"] is None), told
        assert bool(told["leases"]) is (told["retry_after_seconds"] is None), told
        counted[told["reason"] or "work"] += 1
    return counted


@pytest.mark.parametrize(
    ("calls", "named"),
    [
        (MOST // 4, True),
        pytest.param(MOST, True, marks=pytest.mark.long),
        pytest.param(MOST, False, marks=pytest.mark.long),
    ],
)
async def test_hundreds_at_once_for_few_tasks_get_work_or_a_reason(
    outside: AsyncClient,
    sessions: db.Sessions,
    calls: int,
    *,
    named: bool,
) -> None:
    project_id = await a_project(sessions, tasks=40, gold=5, min_overlap=3, max_overlap=3, redo=0)
    earners = await many_earners(sessions, outside, calls)
    got = await at_once(earners, wanted(project_id if named else None, 2))
    counted = sorted_out(got)
    assert set(counted) <= {"work", "no-work"}
    assert counted.total() == calls
    assert counted["work"] >= 40
    ids = [each["lease_id"] for one in got for each in one.json()["leases"]]
    assert len(ids) == len(set(ids))
    await audit(sessions)

    # who was turned away while others had the last places locked finds what is left
    again = iter(await many_earners(sessions, outside, 60))
    while await number(sessions, LEFT):
        await lease(next(again), project_id, 50)
    assert await number(sessions, ORDINARY) == 40 * 3
    await audit(sessions)


@pytest.mark.long
async def test_one_earner_who_asks_two_hundred_times_at_once_gets_no_task_twice(
    outside: AsyncClient, sessions: db.Sessions
) -> None:
    project_id = await a_project(sessions, tasks=100, gold=10, min_overlap=2)
    (earner,) = await many_earners(sessions, outside, 1)
    counted = sorted_out(await at_once([earner] * 200, wanted(project_id, 5)))
    assert set(counted) <= {"work", "no-work", "too-many-open-leases"}
    assert counted["too-many-open-leases"] > 0
    await audit(sessions)
    held = (await earner.get("/v1/work/leases"))["leases"]
    assert 50 == len(held) == await number(sessions, "SELECT count(*) FROM leases")


@pytest.mark.parametrize("people", [40, pytest.param(120, marks=pytest.mark.long)])
async def test_leases_and_answers_of_many_people_pass_each_other(
    outside: AsyncClient, sessions: db.Sessions, people: int
) -> None:
    tasks = people // 2
    project_id = await a_project(
        sessions, tasks=tasks, gold=10, min_overlap=2, max_overlap=2, redo=0
    )
    earners = await many_earners(sessions, outside, people)

    async def work(earner: As) -> None:
        while leases := await lease(earner, project_id, 3):
            taken = await answer(earner, *(given(each) for each in leases))
            assert all(each["accepted"] for each in taken)

    await asyncio.gather(*(work(each) for each in earners))
    await audit(sessions)
    answered = "SELECT count(*) FROM leases WHERE state = 'answered' AND lane < 2"
    assert await number(sessions, answered) + await number(sessions, LEFT) == 2 * tasks
    assert await number(sessions, answered) > 0.8 * 2 * tasks
