"""What becomes of people whose answers to gold are wrong, and of what they did."""

import re
from typing import Any

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.quality.gold_share import gold_share
from tests.client import As
from tests.quality.court import CAT, DOG, Court, always, court
from tests.quality.scored import trust_after
from tests.world import World

GOLD = [f"gold {number}.jpg" for number in range(8)]
COMMON = [f"common {number}.jpg" for number in range(20)]


async def mixed(world: World, *, beside: Court | None = None, **quality: Any) -> Court:
    policy = {"min_overlap": 2, "max_overlap": 4, "redo": 2, **quality}
    here = await court(world, *GOLD, *COMMON, beside=beside, quality=policy)
    await here.gold(GOLD)
    await here.launch()
    return here


async def trust_of(here: Court) -> dict[str, tuple[int, int]]:
    """Gold seen and missed, by earner."""
    async with db.reading(here.world.sessions) as reader:
        rows = await reader.execute(text("SELECT earner_id::text, seen, missed FROM trust"))
        return {earner: (seen, missed) for earner, seen, missed in rows}


async def id_of(earner: As) -> str:
    return str((await earner.get("/v1/me"))["person_id"])


async def test_who_misses_the_gold_is_stopped_and_reads_why(world: World) -> None:
    here = await mixed(world)
    good, bad = await here.earners(2)
    await here.work(good, always(CAT))
    await here.work(bad, always(DOG))
    await here.judge()
    trust = await trust_of(here)
    assert trust[await id_of(good)][1] == 0
    seen, missed = trust[await id_of(bad)]
    assert seen == missed >= 4
    problem = await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    reason = problem["detail"]
    assert problem["code"] == "below-minimum-trust"
    told = re.fullmatch(r"You missed (\d) of \1 check tasks; this project asks for 60 %\.", reason)
    assert told
    assert 4 <= int(told[1]) <= seen, "when they were stopped; what was on its way counts too"
    offer = await bad.get(f"/v1/work/offers/{here.project['id']}")
    assert offer["blocked_reason"] == reason
    assert (await bad.post("/v1/work/leases", {}))["leases"] == []
    assert (await good.get(f"/v1/work/offers/{here.project['id']}"))["blocked_reason"] is None


async def test_who_is_stopped_in_one_project_goes_on_in_others(world: World) -> None:
    here = await mixed(world)
    there = await mixed(world, beside=here)
    (earner,) = await here.earners(1)
    before = await there.lease(earner, 1)
    await here.work(earner, always(DOG))
    await here.judge()
    await there.answer(earner, before, always(CAT))
    assert await there.work(earner, always(CAT)), "there is more for them"
    await there.judge()
    reasons = [
        (await earner.get(f"/v1/work/offers/{each.project['id']}"))["blocked_reason"]
        for each in (here, there)
    ]
    assert "check tasks" in reasons[0]
    assert reasons[1] is None
    for each in (here, there):
        await each.say(CAT, CAT)
    rejected = [each for each in await here.earnings(earner) if each["state"] == "rejected"]
    assert {each["project_id"] for each in rejected} == {here.project["id"]}


@pytest.mark.long
async def test_an_answer_weighs_what_its_earner_earned_in_its_own_project(world: World) -> None:
    alone: dict[str, Any] = {"min_overlap": 1, "max_overlap": 1, "target_confidence": 0.7}
    known_well = await mixed(world, **alone)
    known_badly = await mixed(world, beside=known_well, **alone)
    (earner,) = await known_well.earners(1)
    held = []
    for here, says in ((known_well, CAT), (known_badly, DOG)):
        leases = await here.lease(earner)
        gold = [each for each in leases if here.seen(each) in GOLD]
        await here.answer(earner, gold[:3], always(says))  # too few to be stopped
        await here.judge()
        held.append((here, next(each for each in leases if here.seen(each) in COMMON)))
    for here, lease in held:
        await here.answer(earner, [lease], always(CAT))
    await known_well.judge()
    states = [(await here.tasks())[here.seen(lease)]["state"] for here, lease in held]
    assert states == ["settled", "review"]


async def test_what_a_stopped_earner_got_wrong_is_rejected_with_the_reason_and_others_are_asked(
    world: World,
) -> None:
    here = await mixed(world)
    good, bad = await here.earners(2)
    await here.work(bad, always(DOG))
    await here.judge()
    assert {each["state"] for each in await here.earnings(bad)} == {"pending"}, "till it is known"
    await here.work(good, always(CAT))
    await here.say(CAT)
    earnings = await here.earnings(bad)
    assert {each["state"] for each in earnings} == {"rejected"}
    assert {each["reason_code"] for each in earnings} == {"unlike-the-label"}
    assert {each["reason"] for each in earnings} == {
        "This answer has 0 % in common with the settled label; at least 50 % is asked for."
    }, "gold and others in the same words"
    assert (await bad.get("/v1/earnings/balance"))["earned_micro"] == {
        "USD": {"rejected": len(earnings) * here.project["price_micro"]}
    }
    tasks = {name: task for name, task in (await here.tasks()).items() if name in COMMON}
    assert {task["state"] for task in tasks.values()} == {"settled"}
    assert {str(task["label"]["classes"]) for task in tasks.values()} == {"[1]"}
    for task in tasks.values():
        by_verdict = {each["verdict"] for each in task["answers"]}
        assert by_verdict <= {"accepted", "rejected"}
        assert sum(each["verdict"] == "accepted" for each in task["answers"]) == 2


async def test_what_a_stopped_earner_got_right_is_paid(world: World) -> None:
    here = await mixed(world)
    (torn,) = await here.earners(1)
    right = dict.fromkeys(COMMON[:10], CAT)
    await here.work(torn, lambda name: right.get(name, DOG))
    await here.judge()
    await torn.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    await here.say(CAT, CAT)
    answers = {
        each["lease_id"]: name
        for name, task in (await here.tasks()).items()
        for each in task["answers"]
    }
    by_name = {answers[each["lease_id"]]: each["state"] for each in await here.earnings(torn)}
    assert {by_name[name] for name in by_name if name in right} == {"approved"}
    assert {by_name[name] for name in by_name if name not in right} == {"rejected"}


async def test_a_higher_minimum_stops_who_is_below_it_and_a_lower_one_lets_them_back(
    world: World,
) -> None:
    here = await mixed(world, minimum_trust=0.5)
    (average,) = await here.earners(1)
    gold, earner_id = iter([CAT, DOG] * len(GOLD)), await id_of(average)
    while (await trust_of(here)).get(earner_id, (0, 0)) < (4, 2):
        for lease in await here.lease(average, 5):
            is_gold = here.seen(lease) in GOLD
            await here.answer(average, [lease], always(next(gold) if is_gold else CAT))
        await here.judge()
    await here.lease(average, 1)
    for minimum, status in ((0.99, 403), (0.5, 200), (0.98, 403), (0.6, 200)):
        await here.operator.patch(here.path, {"quality": {"minimum_trust": minimum}})
        await here.judge()
        asked = {"project_id": here.project["id"], "count": 1}
        got = await average.post("/v1/work/leases", asked, status=status)
        if status == 403:
            assert f"this project asks for {minimum:.0%}".replace("%", " %") in got["detail"]
    assert {each["state"] for each in await here.earnings(average)} == {"pending"}


async def test_what_was_paid_before_stays_paid(world: World) -> None:
    here = await mixed(world, min_overlap=1, target_confidence=0.5)
    (bad,) = await here.earners(1)
    leases = await here.lease(bad)
    gold = [each for each in leases if here.seen(each) in GOLD]
    common = [each for each in leases if here.seen(each) in COMMON]
    assert len(gold) >= 4
    await here.answer(bad, common, always(DOG))
    await here.judge()
    await world.work.sweep("post-earnings")
    before = (await bad.get("/v1/earnings/balance"))["available_micro"]
    assert before == {"USD": len(common) * here.project["price_micro"]}
    await here.answer(bad, gold, always(DOG))
    await here.judge()
    await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    assert (await bad.get("/v1/earnings/balance"))["available_micro"] == before
    paid = {each["lease_id"] for each in await here.earnings(bad) if each["state"] == "available"}
    assert paid == {each["lease_id"] for each in common}


@pytest.mark.long
async def test_an_answer_that_was_underway_when_its_earner_was_stopped_is_judged_like_the_others(
    world: World,
) -> None:
    here = await mixed(world)
    (bad,) = await here.earners(1)
    leases = await here.lease(bad)
    gold = [each for each in leases if here.seen(each) in GOLD]
    common = [each for each in leases if here.seen(each) in COMMON]
    assert len(gold) >= 4
    await here.answer(bad, gold, always(DOG))
    await here.judge()
    await here.answer(bad, common, always(DOG))
    await here.judge()
    await here.say(CAT, CAT)
    assert {each["state"] for each in await here.earnings(bad)} == {"rejected"}


async def test_a_project_without_a_gold_share_still_checks_now_and_then(world: World) -> None:
    here = await mixed(world, gold_share=0)
    (earner,) = await here.earners(1)
    await here.work(earner, always(CAT))
    await here.judge()
    assert (await trust_of(here))[await id_of(earner)][0] > 0
    async with db.reading(world.sessions) as reader:
        (chance,) = await reader.scalars(text("SELECT gold_chance FROM standings"))
        assert 0 < chance < 0.5


async def test_gold_is_asked_less_of_who_is_right(world: World) -> None:
    here = await mixed(world)
    (earner,) = await here.earners(1)
    await here.work(earner, always(CAT))
    await here.judge()
    async with db.reading(world.sessions) as reader:
        (chance,) = await reader.scalars(text("SELECT gold_chance FROM standings"))
    assert 0.1 / 3 <= chance < 0.5


async def test_how_often_somebody_meets_gold_follows_the_share_that_the_project_has_now(
    world: World,
) -> None:
    here = await mixed(world, gold_share=0.4)
    (earner,) = await here.earners(1)
    await here.work(earner, always(CAT))
    await here.judge()
    ((seen, _),) = (await trust_of(here)).values()
    for share in (0.4, 0.2):
        async with db.reading(world.sessions) as reader:
            (chance,) = await reader.scalars(text("SELECT gold_chance FROM standings"))
        assert chance == pytest.approx(gold_share(trust_after([1.0] * seen), base_share=share))
        await here.operator.patch(here.path, {"quality": {"gold_share": 0.2}})
        await here.judge()
