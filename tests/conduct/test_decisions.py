"""Whoever is judged reads what was decided and why, and may say no to it."""

import json
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import text

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.context import JobContext
from tests.client import Work, api
from tests.conduct.judged import GOLD, mixed, receipts, stopped
from tests.quality.court import CAT, DOG
from tests.world import World


async def test_who_is_stopped_reads_the_rule_the_numbers_and_the_window(world: World) -> None:
    here = await mixed(world)
    await here.operator.patch(here.path, {"quality": {"minimum_trust": 0.65}})
    bad = await stopped(here)
    problem = await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    (receipt,) = await receipts(bad, "stopped")
    assert receipt["rule"] == "below-minimum-trust"
    assert receipt["reason"] == problem["detail"]
    numbers = receipt["numbers"]
    assert numbers["check_tasks"] == numbers["missed"] >= 4
    assert numbers["trust"] < numbers["minimum_trust"] <= 0.65
    assert receipt["window_from"] <= receipt["window_to"] == receipt["created_at"]
    assert receipt["policy_version"] == 2
    assert not receipt["by_a_person"]
    versions = (await here.operator.get(f"{here.path}/policies"))["items"]
    assert [each["version"] for each in versions] == [2, 1]
    assert [each["quality"]["minimum_trust"] for each in versions] == [0.65, 0.6]
    assert await bad.get(f"/v1/decisions/{receipt['id']}") == receipt


async def test_who_falls_reads_that_their_trust_has_fallen_before_they_are_stopped(
    world: World,
) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    (lowered,) = await receipts(bad, "lowered")
    assert lowered["rule"] == "lowered-trust"
    assert lowered["numbers"]["trust"] <= lowered["numbers"]["before"] - 0.1
    assert "weigh less" in lowered["reason"]
    good = (await here.say(CAT))[0]
    assert await receipts(good) == []


async def test_each_rejection_has_a_receipt_that_names_the_answer_and_what_it_follows_from(
    world: World,
) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    (stop,) = await receipts(bad, "stopped")
    rejected = await receipts(bad, "rejected")
    earnings = await here.earnings(bad)
    assert {each["lease_id"] for each in rejected} == {
        each["lease_id"] for each in earnings if each["state"] == "rejected"
    }
    assert len(rejected) == len(earnings)
    for each in rejected:
        assert each["because_id"] == stop["id"]
        assert each["rule"] == "unlike-the-label"
        assert each["numbers"] == {"agreement": 0.0, "asked_for": 0.5}
    fields = {frozenset(each) - {"lease_id", "id", "created_at"} for each in rejected}
    assert len(fields) == 1
    told = {(each["reason"], each["contest_state"], each["effect"]) for each in rejected}
    assert len(told) == 1, "of gold and of others the same"


async def test_what_follows_from_one_answer_is_told_together_with_others(
    world: World, settings: Settings, context: JobContext
) -> None:
    hourly = settings.model_copy(update={"decisions_every": timedelta(hours=1)})
    work = Work(hourly, replace(context, decisions_every=hourly.decisions_every))
    async with api(hourly, world.sessions, world.store) as http:
        here = await mixed(World(http, world.sessions, world.store, work))
        bad = await stopped(here)
        await here.say(CAT, CAT)
        assert {each["effect"] for each in await receipts(bad)} == {"stopped"}, "they notice that"
        async with db.transaction(world.sessions) as session:
            hidden = (
                await session.execute(
                    text("SELECT id FROM decisions WHERE effect = 'rejected' LIMIT 1")
                )
            ).scalar_one()
            await session.execute(
                text("UPDATE decisions SET created_at = created_at - interval '1 hour'")
            )
        assert {each["effect"] for each in await receipts(bad)} >= {"stopped", "rejected"}
        assert "lowered" not in {each["effect"] for each in await receipts(bad)}
        await bad.get(f"/v1/decisions/{hidden}")
        async with db.transaction(world.sessions) as session:
            await session.execute(
                text("UPDATE decisions SET created_at = created_at - interval '1 day'")
            )
        assert "lowered" in {each["effect"] for each in await receipts(bad)}


async def test_all_of_it_can_be_taken_along(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    response = await bad.call("GET", "/v1/decisions/export")
    assert response.headers["content-type"].startswith("application/jsonl")
    assert [json.loads(line) for line in response.text.splitlines()] == await receipts(bad)


async def test_a_project_that_asks_for_less_lets_people_back_and_they_read_so(world: World) -> None:
    here = await mixed(world, minimum_trust=0.95)
    (average,) = await here.earners(1)
    said = iter([CAT, CAT, DOG] * 20)
    await here.work(average, lambda name: next(said) if name in GOLD else CAT)
    await here.judge()
    assert len(await receipts(average, "stopped")) == 1
    await here.operator.patch(here.path, {"quality": {"minimum_trust": 0.5}})
    await here.judge()
    (restored,) = await receipts(average, "restored")
    assert (restored["rule"], restored["policy_version"]) == ("policy-changed", 2)
    await average.post("/v1/work/leases", {"project_id": here.project["id"]}, status=200)
