"""Training is paid on passing, once, from money that the launch has set aside."""

from typing import Any

from sqlalchemy import text

from tessera.assignment import training_answers
from tessera.assignment.answer import Given
from tessera.assignment.models import Outcome
from tessera.kernel import db
from tests.client import As
from tests.projects.test_money import FUNDS, balance, estimate
from tests.quality.court import CAT, DOG, always
from tests.quality.facts import broken
from tests.quality.ground import Ground, ground, later, one, project_id
from tests.world import World

PRICE, FEE = 33_333, 6_667
UNIT = PRICE + FEE
ESCROW = "SELECT balance_micro FROM ledger_accounts WHERE kind = 'escrow' AND owner_id = :id"


async def earned(earner: As) -> int:
    money = await earner.get("/v1/earnings/balance")
    available: int = money["available_micro"].get("USD", 0)
    return available


async def posted(here: Ground) -> None:
    await here.court.world.work.sweep("post-earnings")
    assert await broken(here.court.world.sessions) == []


async def completed(here: Ground) -> Any:
    done = await here.court.operator.post(f"{here.court.path}/complete")
    await here.court.judge()
    await posted(here)
    await here.court.world.work.sweep("release-completed")
    await here.court.judge()
    return done


async def test_a_pass_pays_all_its_answers_at_the_projects_price_and_a_failure_none(
    world: World,
) -> None:
    here = await ground(world, price_micro=PRICE)
    good, bad = await here.court.earners(2)
    terms = await here.look(good)
    assert (terms["pays_micro"], terms["price_micro"]) == (5 * PRICE, PRICE)
    questions = (await here.begin(good))["questions"]
    for question in questions[:-1]:
        await here.say(good, question)
    assert await here.court.earnings(good) == [], "nothing before it is passed"
    told = await here.say(good, questions[-1], DOG)
    assert (told["training"]["state"], told["training"]["right"]) == ("passed", 4)
    assert (await here.attempt(bad, always(DOG)))["state"] == "waiting"
    await posted(here)
    items = await here.court.earnings(good)
    assert {each["lease_id"] for each in items} == {each["lease_id"] for each in questions}
    assert [each["state"] for each in items] == ["available"] * 5
    assert (await earned(good), await earned(bad)) == (5 * PRICE, 0)
    assert await here.court.earnings(bad) == []


async def test_nobody_is_paid_twice_for_being_trained(world: World) -> None:
    here = await ground(world, price_micro=PRICE)
    (earner,) = await here.court.earners(1)
    await here.attempt(earner, always(DOG))
    await later(world, 11)
    questions = (await here.begin(earner))["questions"]
    for question in questions:
        await here.say(earner, question)
    for question in questions:
        assert (await here.say(earner, question))["replayed"] is True
    assert (await here.begin(earner, status=409))["code"] == "training-not-needed"
    await later(world, 10_000)
    assert (await here.begin(earner, status=409))["code"] == "training-not-needed"
    await posted(here)
    assert await earned(earner) == 5 * PRICE


async def test_the_launch_reserves_what_training_may_cost(world: World) -> None:
    quality = {"training_places": 7, "training_tasks": 3, "min_overlap": 2, "max_overlap": 2}
    here = await ground(world, gold=0, work=10, launched=False, price_micro=PRICE, quality=quality)
    planned = await estimate(here.court)
    assert (planned["tasks"], planned["gold_tasks"]) == (10, 0)
    assert planned["worst_micro"] == (10 * 2 + 7 * 3) * UNIT
    assert planned["expected_micro"] == (10 * 2 + 7 * 3) * UNIT
    assert planned["best_micro"] == (10 * 2 + 2 * 3) * UNIT, "two people at least"
    await here.court.launch()
    assert await balance(here.court) == FUNDS - planned["worst_micro"]
    committed = "SELECT committed_micro FROM projects WHERE id = :id"
    assert await one(world, committed, id=project_id(here)) == planned["worst_micro"]
    await here.court.pictures("later.jpg")
    after = await estimate(here.court)
    assert after["worst_micro"] == 2 * UNIT, "training is reserved once"
    await here.court.launch()
    assert await balance(here.court) == FUNDS - planned["worst_micro"] - 2 * UNIT
    assert await broken(world.sessions) == []


async def test_without_the_money_to_train_nothing_is_launched(world: World) -> None:
    quality = {"training_places": 10_000}
    here = await ground(world, launched=False, price_micro=10**9, quality=quality)
    refused = await here.court.operator.post(f"{here.court.path}/launch", status=409)
    assert refused["code"] == "insufficient-funds"
    assert (await here.court.operator.get(here.court.path))["state"] == "draft"
    assert await one(world, "SELECT count(*) FROM trainings") == 0


async def test_what_training_did_not_need_comes_back(world: World) -> None:
    here = await ground(world, price_micro=PRICE, quality={"training_places": 3})
    await here.passed()
    (bad,) = await here.court.earners(1)
    await here.attempt(bad, always(DOG))
    await completed(here)
    assert await one(world, ESCROW, id=project_id(here)) == 0
    assert await balance(here.court) == FUNDS - 5 * UNIT


async def test_who_is_at_it_when_the_project_is_completed_may_go_on_and_is_paid(
    world: World,
) -> None:
    here = await ground(world, price_micro=PRICE)
    earner, gone = await here.court.earners(2)
    questions = (await here.begin(earner))["questions"]
    await here.begin(gone)
    await completed(here)
    assert await balance(here.court) < FUNDS - 10 * UNIT, "the money for two is still there"
    assert (await here.begin(earner))["training"]["state"] == "running"
    for question in questions:
        told = await here.say(earner, question)
    assert told["training"]["state"] == "passed"
    await posted(here)
    await later(world, 61)
    await world.work.sweep("release-completed")
    await here.court.judge()
    assert await earned(earner) == 5 * PRICE
    assert await balance(here.court) == FUNDS - 5 * UNIT
    assert (await here.begin(gone, status=409))["code"] == "training-waits"
    await later(world, 61)
    assert (await here.begin(gone, status=409))["reason"] == "project-not-open"
    assert await broken(world.sessions) == []


async def test_nobody_begins_while_a_project_is_paused_and_who_has_begun_goes_on(
    world: World,
) -> None:
    here = await ground(world)
    earner, other = await here.court.earners(2)
    questions = (await here.begin(earner))["questions"]
    await here.court.operator.post(f"{here.court.path}/pause")
    await here.begin(other, status=404)
    for question in questions:
        told = await here.say(earner, question)
    assert told["training"]["state"] == "passed"
    await here.court.operator.post(f"{here.court.path}/resume")
    assert (await here.begin(other))["training"]["state"] == "running"
    assert (await here.wants(earner))["leases"]


class Killed(Exception):  # noqa: N818
    """In the middle of a transaction."""


async def test_what_was_answered_outlives_a_kill_and_half_an_answer_leaves_nothing(
    world: World,
) -> None:
    here = await ground(world, price_micro=PRICE)
    (earner,) = await here.court.earners(1)
    *questions, last = (await here.begin(earner))["questions"]
    for question in questions:
        await here.say(earner, question)
    earner_id = (await earner.get("/v1/me"))["person_id"]
    given = Given(last["lease_id"], last["fence"], Outcome.ANSWERED, CAT, None)
    try:
        async with db.transaction(world.sessions) as session:
            told = await training_answers.answer(
                session, project_id(here), earner_id=earner_id, given=given
            )
            passed = "SELECT count(*) FROM trainees WHERE state = 'passed'"
            assert told.right
            assert await session.scalar(text(passed)) == 1
            raise Killed
    except Killed:
        pass
    assert await one(world, "SELECT count(*) FROM earnings") == 0
    assert (await here.wants(earner, status=409))["code"] == "training-needed"
    again = await here.begin(earner)
    left = [each for each in again["questions"] if each["feedback"] is None]
    assert [each["lease_id"] for each in left] == [last["lease_id"]]
    assert (await here.say(earner, last))["training"]["state"] == "passed"
    await posted(here)
    assert await earned(earner) == 5 * PRICE
