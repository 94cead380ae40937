"""Nobody is trained for work that does not exist, however many come at once."""

import asyncio
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tessera.assignment import admission, training, training_answers
from tessera.assignment import release as giving_back
from tessera.assignment.admission import LEAST_WORK, LONGEST_WAIT
from tessera.assignment.answer import Given
from tessera.assignment.models import Outcome
from tessera.kernel import db
from tests.client import As
from tests.quality.court import CAT, DOG, always
from tests.quality.court import given as answering
from tests.quality.facts import broken
from tests.quality.ground import Ground, ground, later, one, project_id
from tests.waiting import until_locks_are_waited_for
from tests.world import World


async def all_begin(here: Ground, people: list[As]) -> Counter[str]:
    """What became of those who ask at once."""
    got = await asyncio.gather(*(person.call("POST", f"{here.path}/attempts") for person in people))
    assert {each.status_code for each in got} <= {200, 409}, [each.text for each in got]
    return Counter(
        body["training"]["state"] if "training" in body else body["reason"]
        for body in (each.json() for each in got)
    )


@pytest.mark.long
async def test_of_fifty_at_once_as_many_begin_as_there_is_work_for(world: World) -> None:
    here = await ground(world, gold=0, work=4 * LEAST_WORK + LEAST_WORK // 2)
    people = await here.court.earners(50)
    assert await all_begin(here, people) == {"running": 4, "enough-people": 46}
    assert await broken(world.sessions) == []


async def test_of_fifty_at_once_no_more_begin_than_can_be_paid(world: World) -> None:
    here = await ground(world, gold=0, work=90, quality={"training_places": 3})
    people = await here.court.earners(50)
    assert await all_begin(here, people) == {"running": 3, "no-places-left": 47}
    assert await all_begin(here, people) == {"running": 3, "no-places-left": 47}
    assert await one(world, "SELECT array_agg(place ORDER BY place) FROM trainees") == [1, 2, 3]
    assert await one(world, "SELECT count(*) FROM training_questions") == 15


async def test_who_begins_ten_times_at_once_has_one_attempt(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    assert await all_begin(here, [earner] * 10) == {"running": 10}
    assert await one(world, "SELECT count(*) FROM training_questions") == 5
    assert (await here.look(earner))["attempt"] == 1


async def test_answers_at_once_end_an_attempt_once(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    questions = (await here.begin(earner))["questions"]
    got = await asyncio.gather(
        *(
            earner.call("POST", f"{here.path}/answers", answering(question, CAT))
            for question in questions * 4
        )
    )
    assert {each.status_code for each in got} == {200}
    assert sum(not each.json()["replayed"] for each in got) == 5
    assert (await here.look(earner))["state"] == "passed"
    await world.work.sweep("post-earnings")
    assert await one(world, "SELECT count(*) FROM earnings WHERE state = 'available'") == 5
    assert await broken(world.sessions) == []


async def test_two_different_answers_at_once_are_one_answer(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    question, *_ = (await here.begin(earner))["questions"]
    got = await asyncio.gather(
        *(
            earner.call("POST", f"{here.path}/answers", answering(question, said))
            for said in (CAT, DOG)
        )
    )
    assert sorted(each.status_code for each in got) == [200, 409]


@pytest.mark.parametrize(
    "moment", [0, 2, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 3, 4, 6, 10))]
)
async def test_who_begins_as_the_project_is_completed_is_refused_or_paid(
    world: World, moment: int
) -> None:
    here = await ground(world, quality={"training_places": 6})
    people = await here.court.earners(4)

    async def complete() -> None:
        for _ in range(10 * moment):
            await asyncio.sleep(0)
        await here.court.operator.post(f"{here.court.path}/complete")
        await here.court.judge()

    async def train(earner: As) -> None:
        response = await earner.call("POST", f"{here.path}/attempts")
        for question in response.json().get("questions", []):
            await here.say(earner, question)

    await asyncio.gather(complete(), *(train(each) for each in people))
    await world.work.sweep("post-earnings")
    await world.work.sweep("release-completed")
    await here.court.judge()
    passed = await one(world, "SELECT count(*) FROM trainees WHERE state = 'passed'")
    paid = await one(world, "SELECT count(*) FROM earnings WHERE state = 'available'")
    assert paid == 5 * passed
    left = "SELECT balance_micro FROM ledger_accounts WHERE kind = 'escrow' AND owner_id = :id"
    assert await one(world, left, id=project_id(here)) == 0
    assert await broken(world.sessions) == []


async def test_giving_back_the_money_waits_for_who_is_just_beginning(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    earner_id = UUID((await earner.get("/v1/me"))["person_id"])
    async with db.transaction(world.sessions) as session:
        await training.begin(session, project_id(here), earner_id=earner_id)
        await here.court.operator.post(f"{here.court.path}/complete")
        releasing = asyncio.create_task(release(here))
        await until_locks_are_waited_for(world.sessions)
        assert not releasing.done()
    assert await releasing is False
    assert (await here.attempt(earner, always(CAT)))["state"] == "passed"
    await world.work.sweep("post-earnings")
    assert await release(here) is True
    assert await broken(world.sessions) == []


async def test_giving_back_the_money_waits_for_the_last_answer(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    earner_id = UUID((await earner.get("/v1/me"))["person_id"])
    *questions, last = (await here.begin(earner))["questions"]
    for question in questions:
        await here.say(earner, question)
    said = Given(UUID(last["lease_id"]), last["fence"], Outcome.ANSWERED, CAT, None)
    await here.court.operator.post(f"{here.court.path}/complete")
    async with db.transaction(world.sessions) as session:
        await session.execute(text("SELECT now()"))  # in time
        async with db.transaction(world.sessions) as other:
            await other.execute(text("UPDATE trainees SET ends_at = clock_timestamp()"))
        await training_answers.answer(session, project_id(here), earner_id=earner_id, given=said)
        releasing = asyncio.create_task(release(here))  # too late
        await until_locks_are_waited_for(world.sessions)
        assert not releasing.done()
    assert await releasing is False, "it is earned, and not in the ledger yet"
    await world.work.sweep("post-earnings")
    assert await release(here) is True
    assert await broken(world.sessions) == []


async def release(here: Ground) -> bool:
    async with db.transaction(here.court.world.sessions) as session:
        return await giving_back.release(session, project_id=project_id(here))


async def test_nobody_is_trained_when_all_work_is_done(world: World) -> None:
    here = await ground(world, gold=0, work=6)
    first, second = await here.court.earners(2)
    assert (await here.attempt(first, always(CAT)))["state"] == "passed"
    await here.court.work(first, always(CAT))
    await here.court.judge()
    refused = await here.begin(second, status=409)
    assert (refused["code"], refused["reason"]) == ("training-closed", "no-work")
    assert refused["retry_after_seconds"] == 600
    looked = await here.look(second)
    assert (looked["state"], looked["reason"], looked["retry_after_seconds"]) == (
        "closed",
        "no-work",
        600,
    )


async def test_as_many_as_a_task_may_need_are_trained_however_little_there_is(
    world: World,
) -> None:
    policy = {"min_overlap": 3, "max_overlap": 3}
    here = await ground(world, gold=0, work=2, quality=policy)
    first = await here.passed(3)
    others = await here.court.earners(4)
    assert await all_begin(here, others) == {"enough-people": 4}
    await later(world, 24 * 60 + 1)
    assert await all_begin(here, others) == {"running": 3, "enough-people": 1}, (
        "those of yesterday count no more"
    )
    assert (await here.wants(first[0]))["leases"], "but may go on"


async def test_those_who_were_stopped_leave_their_work_to_others(world: World) -> None:
    here = await ground(world, gold=0, work=LEAST_WORK)
    await here.passed()
    other, third = await here.court.earners(2)
    assert (await here.begin(other, status=409))["reason"] == "enough-people"
    await stop(world)
    assert (await here.begin(other))["training"]["state"] == "running"
    assert (await here.begin(third, status=409))["reason"] == "enough-people"


async def stop(world: World) -> None:
    async with db.transaction(world.sessions) as session:
        await session.execute(text("UPDATE standings SET blocked_at = now(), reason = 'Stopped.'"))


async def test_who_was_stopped_is_not_trained_again(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.passed()
    await stop(world)
    assert (await here.wants(earner, status=403))["code"] == "below-minimum-trust"
    assert (await here.begin(earner, status=409))["code"] == "training-not-needed"


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(1, 70))
def test_more_work_and_fewer_people_never_close_a_training(
    free: int, people: int, at_once: int
) -> None:
    if admission.is_enough(free, people, at_once=at_once):
        assert free > 0
        assert admission.is_enough(free + 1, people, at_once=at_once)
        assert admission.is_enough(free, max(0, people - 1), at_once=at_once)
        assert people < at_once or free >= LEAST_WORK * (people + 1)
    counted = min(free, admission.most_counted(people))
    assert admission.is_enough(counted, people, at_once=at_once) is admission.is_enough(
        free, people, at_once=at_once
    ), "counting on makes no difference"


@given(st.floats(0.001, 1), st.integers(1, 50))
def test_what_is_needed_can_be_reached_and_is_no_less_than_the_share(
    share: float, questions: int
) -> None:
    needed = admission.right_needed(share, questions)
    assert 1 <= needed <= questions
    assert needed / questions >= share - 1e-6
    assert needed == 1 or (needed - 1) / questions < share


@given(st.integers(1, 10**9))
def test_waits_grow_and_are_never_longer_than_a_day(failures: int) -> None:
    wait = admission.wait_after(failures)
    assert wait <= admission.wait_after(failures + 1) <= LONGEST_WAIT


@given(st.integers(1, 50), st.integers(30, 86_400))
def test_an_attempt_lasts_an_hour_to_a_day(questions: int, seconds: int) -> None:
    assert admission.SHORTEST <= admission.lasts(questions, seconds) <= admission.LONGEST
