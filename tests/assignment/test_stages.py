"""What passes from stage to stage, what goes back, and who is never asked about their own work."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.assignment import stages
from tessera.kernel import db
from tests.quality.facts import broken
from tests.stories.chains import MISSING, QUALITY, YES, Chain, a_chain
from tests.world import BOX_SCHEMA, RIGHT, WRONG, World, answers, photograph


def drawn(chain: Chain) -> Any:
    return lambda key, _: chain.drawn(key)


def yes(_: str, __: object) -> dict[str, Any]:
    return YES


def no(_: str, __: object) -> dict[str, Any]:
    return MISSING


async def test_whoever_made_something_is_never_asked_whether_it_is_right(world: World) -> None:
    chain = await a_chain(world, "draw", "verify", "coverage")
    makers = [await world.earner() for _ in range(2)]
    for each in makers:
        assert len(await chain.answer(each, "draw", drawn(chain))) == 4
    await world.work.jobs()
    for each in makers:
        assert await chain.lease(each, "verify") == []
    verifiers = [await world.earner() for _ in range(2)]
    for each in verifiers:
        assert len(await chain.answer(each, "verify", yes)) == 4
    await world.work.jobs()
    for each in (*makers, *verifiers):
        assert await chain.lease(each, "coverage") == []
    assert len(await chain.lease(await world.earner(), "coverage")) == 4


@pytest.mark.long
async def test_whoever_found_it_wrong_does_not_make_it_anew(world: World) -> None:
    chain = await a_chain(world, "draw", "verify")
    await chain.work("draw", drawn(chain))
    verifiers = [await world.earner() for _ in range(2)]
    for each in verifiers:
        await chain.answer(each, "verify", no)
    await world.work.jobs()
    assert await chain.states("draw") == ["open"] * 4
    for each in verifiers:
        assert await chain.lease(each, "draw") == []
    (first, *_) = await chain.lease(await world.earner(), "draw")
    assert first["subject"]["reason"] == "missing"


async def test_launching_a_later_stage_reserves_what_may_come_of_the_earlier_ones(
    world: World,
) -> None:
    chain = await a_chain(world, "draw", "verify")
    project = await chain.operator.get(f"/v1/projects/{chain.stages['verify']}")
    places = QUALITY["max_overlap"] + QUALITY["redo"]
    each = places * (project["price_micro"] + project["fee_micro"])
    assert project["reserved_micro"] == 4 * each
    assert await chain.states("verify") == []
    await chain.work("draw", drawn(chain))
    assert await chain.states("verify") == ["open"] * 4
    estimate = await chain.operator.get(f"/v1/projects/{chain.stages['verify']}/estimate")
    assert estimate["tasks"] == 0


async def test_a_stage_that_is_added_later_is_told_of_all_that_is_settled(world: World) -> None:
    chain = await a_chain(world, "draw")
    await chain.work("draw", drawn(chain))
    await chain.add("verify", "draw")
    path = f"/v1/projects/{chain.stages['verify']}"
    assert (await chain.operator.get(f"{path}/estimate"))["tasks"] == 4
    await chain.operator.post(f"{path}/launch")
    await world.work.jobs()
    assert await chain.states("verify") == ["open"] * 4


@pytest.mark.long
async def test_what_nobody_can_be_asked_about_again_goes_to_review(world: World) -> None:
    chain = await a_chain(world, "draw", "verify")
    key = min(chain.frames)
    rounds = 0
    while (await chain.tasks("draw"))[key]["state"] != "review":
        await chain.work("draw", drawn(chain))
        await chain.work("verify", lambda at, _: MISSING if at == key else YES)
        rounds += 1
        assert rounds < 5
    task = (await chain.tasks("draw"))[key]
    assert task["review_reason"] in {"found-wrong", "too-few-answers"}
    await chain.operator.post(f"/v1/tasks/{task['id']}/review", {"label": chain.drawn(key)})
    await world.work.jobs()
    about = (await chain.tasks("verify"))[key]
    assert about["state"] in {"open", "review"}
    assert await broken(world.sessions) == []


async def test_a_tile_that_cannot_be_labelled_is_not_asked_about_again(world: World) -> None:
    chain = await a_chain(world, "draw", "verify")
    task, *_ = (await chain.tasks("draw")).values()
    await chain.operator.post(f"/v1/tasks/{task['id']}/review", {"unusable": True})
    await world.work.jobs()
    (passed,) = (await chain.tasks("verify")).values()
    assert (passed["state"], passed["label"], passed["settled_by"]) == (
        "settled",
        None,
        "earlier-stage",
    )


@pytest.mark.long
async def test_what_was_sent_back_and_cannot_be_drawn_is_not_asked_about_again(
    world: World,
) -> None:
    chain = await a_chain(world, "draw", "verify", "coverage")
    await chain.work("draw", drawn(chain))
    key = min(chain.frames)
    await chain.work("verify", lambda at, _: MISSING if at == key else YES)
    again = (await chain.tasks("draw"))[key]
    await chain.operator.post(f"/v1/tasks/{again['id']}/review", {"unusable": True})
    await world.work.jobs()
    for stage in ("verify", "coverage"):
        task = (await chain.tasks(stage))[key]
        assert (task["state"], task["label"]) == ("settled", None)
    assert await broken(world.sessions) == []


@pytest.mark.long
async def test_what_was_passed_by_is_asked_after_all_if_it_is_found_wrong(world: World) -> None:
    chain = await a_chain(world, "present", "draw", "verify")
    await chain.work("present", lambda _, __: {"classes": []})
    assert await chain.states("draw") == ["settled"] * 4
    assert len(await chain.work("verify", no)) == 8
    assert await chain.states("draw") == ["open"] * 4
    assert len(await chain.work("draw", drawn(chain))) == 8
    assert len(await chain.work("verify", yes)) == 8
    assert await chain.states("verify") == ["settled"] * 4
    assert await broken(world.sessions) == []


async def test_an_answer_to_what_was_asked_before_is_paid_and_does_not_count(
    world: World,
) -> None:
    chain = await a_chain(world, "draw", "verify")
    await chain.work("draw", drawn(chain))
    late = await world.earner()
    leases = await chain.lease(late, "verify")
    assert len(leases) == 4
    for task in (await chain.tasks("verify")).values():
        await chain.operator.post(f"/v1/tasks/{task['id']}/review", {"label": MISSING})
    await world.work.jobs()
    assert await chain.states("verify") == ["returned"] * 4
    await chain.work("draw", drawn(chain))
    assert await chain.states("verify") == ["open"] * 4
    body = [
        {"lease_id": e["lease_id"], "fence": e["fence"], "outcome": "answered", "answer": MISSING}
        for e in leases
    ]
    taken = await late.post("/v1/work/answers", {"answers": body})
    assert all(each["accepted"] for each in taken["results"])
    await chain.work("verify", yes)
    assert await chain.states("verify") == ["settled"] * 4
    earned = (await late.get("/v1/earnings"))["items"]
    assert {each["state"] for each in earned} <= {"approved", "available"}
    assert await broken(world.sessions) == []


@pytest.mark.long
async def test_passing_on_and_sending_back_may_happen_any_number_of_times(world: World) -> None:
    chain = await a_chain(world, "draw", "verify")
    await chain.work("draw", drawn(chain))
    await chain.work("verify", no)
    made, asked = await chain.tasks("draw"), await chain.tasks("verify")

    async def back(task_id: str) -> None:
        async with db.transaction(world.sessions) as session:
            await stages.send_back(
                session, project_id=UUID(chain.stages["verify"]), task_id=UUID(task_id)
            )

    async def on() -> None:
        async with db.transaction(world.sessions) as session:
            await stages.pass_on(
                session,
                earlier_id=UUID(chain.stages["draw"]),
                later_id=UUID(chain.stages["verify"]),
                task_ids=[UUID(each["id"]) for each in made.values()],
            )

    async def entries() -> int:
        async with db.reading(world.sessions) as reader:
            return int(
                (await reader.execute(text("SELECT count(*) FROM queue_entries"))).scalar_one()
            )

    before = await entries()
    await asyncio.gather(
        *(back(each["id"]) for each in asked.values() for _ in range(3)), on(), on()
    )
    assert await entries() == before
    assert await chain.states("verify") == ["returned"] * 4
    await chain.work("draw", drawn(chain))
    before = await entries()
    await asyncio.gather(*(back(each["id"]) for each in asked.values()), on(), on())
    assert await entries() == before
    assert await chain.states("draw") == ["settled"] * 4
    assert await chain.states("verify") == ["open"] * 4
    assert await broken(world.sessions) == []


@pytest.mark.long
async def test_a_prediction_that_is_found_wrong_waits_for_a_reviewer(world: World) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    schema = {**BOX_SCHEMA, "of": "box"}
    made = await world.project(operator, organisation_id, kind="verify", label_schema=schema)
    path = f"/v1/projects/{made['id']}"
    await world.images(operator, made["id"], [("a.jpg", photograph())])
    predicted = {"file_name": "a.jpg", "objects": WRONG["objects"]}
    await operator.post(f"{path}/predictions", {"images": [predicted]})
    await operator.post(f"{path}/launch")
    await world.work.jobs()
    for _ in range(3):
        earner = await world.earner()
        leases = (await earner.post("/v1/work/leases", {"project_id": made["id"]}))["leases"]
        if leases:
            assert leases[0]["subject"] == {"label": {"objects": [canonical(WRONG)]}}
            said = {"verdict": "no", "reason": "extra"}
            await earner.post("/v1/work/answers", answers(leases, said))
            await world.work.jobs()
    (task,) = (await operator.get(f"{path}/review"))["items"]
    assert task["review_reason"] == "found-wrong"
    right = {"verdict": "fix", "label": RIGHT}
    await operator.post(f"/v1/tasks/{task['id']}/review", {"label": right})
    await world.work.jobs()
    run = await operator.post(f"{path}/datasets", {"formats": ["coco"]})
    await world.work.jobs()
    run = await operator.get(f"/v1/dataset-runs/{run['id']}")
    dataset = await operator.get(f"/v1/datasets/{run['dataset_id']}")
    assert dataset["manifest"]["counts"]["objects"] == 1
    assert await broken(world.sessions) == []


def canonical(answer: dict[str, Any]) -> dict[str, Any]:
    (only,) = answer["objects"]
    return {**only, "attributes": {}}
