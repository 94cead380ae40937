"""Judging again by an estimate of all answers: whatever happens meanwhile, nothing gets lost."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.quality import answered, estimating, jobs
from tessera.quality.reconsider import reconsider
from tessera.truth import confusion
from tests.quality.court import Court, always, court
from tests.quality.test_estimating import ASKED, GOLD, OF, ORDINARY, no_cats, ordinary, right
from tests.quality.test_predictions import COINS, YES, a_coin, image, predict
from tests.world import World

NO = {"verdict": "no", "reason": "wrong-class"}


class Killed(BaseException):
    """As by kill -9: nothing of ours catches it."""


async def confused(world: World) -> Court:
    """Everything is settled by three who take every cat for a dog."""
    judged = await court(world, *GOLD, *ORDINARY, quality=ASKED)
    for kind in OF:
        await judged.gold([name for name in GOLD if name.startswith(kind)], kind)
    await judged.launch()
    for person in await judged.earners(3):
        await judged.work(person, no_cats)
        await judged.judge()
    return judged


async def estimate(judged: Court) -> None:
    run = Run(1, "quality.estimate", {"project_id": judged.project["id"]}, 1, None)
    await jobs.estimate(judged.world.work.context, run)


async def sql(world: World, query: str, **values: Any) -> list[Any]:
    async with db.transaction(world.sessions) as session:
        found: Any = await session.execute(text(query), values)
        return list(found.all()) if found.returns_rows else []


def states(tasks: dict[str, Any], kind: str) -> set[str]:
    return {task["state"] for task in ordinary(tasks, kind)}


@pytest.mark.long
async def test_a_project_that_is_completed_meanwhile_keeps_its_labels(world: World) -> None:
    judged = await confused(world)
    await estimate(judged)
    await judged.operator.post(f"{judged.path}/complete")
    await judged.judge()
    assert states(await judged.tasks(), "cat") == {"settled"}


@pytest.mark.long
async def test_a_project_that_is_completed_while_labels_are_in_doubt_keeps_them(
    world: World,
) -> None:
    judged = await confused(world)
    await estimate(judged)
    await judged.judge()
    assert states(await judged.tasks(), "cat") == {"open"}
    await judged.operator.post(f"{judged.path}/complete")
    await judged.judge()
    tasks = await judged.tasks()
    assert states(tasks, "cat") == {"settled"}
    assert all(task["label"] for task in ordinary(tasks, "cat"))


@pytest.mark.long
async def test_an_estimate_that_is_killed_half_way_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = await confused(world)

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(answered, "asked", dies)
        with pytest.raises(Killed):
            await estimate(judged)
    await estimate(judged)
    await judged.judge()
    assert states(await judged.tasks(), "cat") == {"open"}


@pytest.mark.long
async def test_an_estimate_of_the_same_answers_is_not_made_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = await confused(world)
    await estimate(judged)
    monkeypatch.setattr(estimating, "estimated", lambda *_: pytest.fail("made again"))
    await estimate(judged)


async def test_what_is_found_wrong_by_an_estimate_is_no_label(world: World) -> None:
    """Two say yes to everything; the third, who looks, says no."""
    names = [f"{number}.jpg" for number in range(3)]
    asked = {"min_overlap": 3, "max_overlap": 3, "redo": 0, "target_confidence": 0.6}
    judged = await court(
        world, *names, kind="verify", label_schema=COINS, quality={**asked, "gold_share": 0}
    )
    await predict(judged, *(image(name, a_coin(20, 20, 60, 60)) for name in names))
    await judged.launch()
    people = await judged.earners(3)
    leases = [await judged.lease(person) for person in people]
    for person, mine, answer in zip(people, leases, (YES, YES, NO), strict=True):
        await judged.answer(person, mine, always(answer))
    await judged.judge()
    assert {task["state"] for task in (await judged.tasks()).values()} == {"settled"}
    await _know(judged, leases, "{0,50,0,50}", "{0,50,0,50}", "{60,0,0,60}")
    project_id = UUID(judged.project["id"])
    rows = await sql(world, "SELECT id FROM tasks WHERE project_id = :p", p=project_id)
    async with db.transaction(world.sessions) as session:
        await reconsider(session, project_id=project_id, task_ids=[row[0] for row in rows])
    await judged.judge()
    for task in (await judged.tasks()).values():
        assert (task["state"], task["review_reason"]) == ("review", "found-wrong")


async def _know(judged: Court, leases: list[Any], *counts: str) -> None:
    """As if an estimate had told how often each says yes, by whether it is right."""
    project_id = UUID(judged.project["id"])
    await sql(
        judged.world,
        "INSERT INTO estimates (project_id, choices, answers, prior, common, temperature, bias,"
        " known) VALUES (:p, '{0,1}', 100, '{0.5,0.5}', '{0.6,0.4,0.2,0.8}', 1, '{0,0}', 10)",
        p=project_id,
    )
    for mine, said in zip(leases, counts, strict=True):
        await sql(
            judged.world,
            "INSERT INTO trust (project_id, earner_id, alpha, beta, seen, missed, counts)"
            " SELECT :p, earner_id, 3, 1, 20, 0, CAST(CAST(:c AS text) AS float8[])"
            " FROM leases WHERE id = :l",
            p=project_id,
            c=said,
            l=UUID(mine[0]["lease_id"]),
        )


@pytest.mark.long
async def test_when_earners_become_too_many_for_matrices_judging_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = await confused(world)
    await estimate(judged)
    await judged.judge()
    (late,) = await judged.earners(1)
    leases = await judged.lease(late, 30)
    assert len(leases) > 10
    await judged.answer(late, leases[:10], right)
    await judged.judge()
    monkeypatch.setattr(confusion, "MOST_CELLS", 1)
    await estimate(judged)
    await judged.answer(late, leases[10:], right)
    await judged.judge()
    held = "SELECT entrypoint FROM pgqueuer WHERE status = 'failed'"
    assert await sql(world, held) == []
    sizes = "SELECT DISTINCT array_length(counts, 1) FROM trust WHERE project_id = :p"
    assert {row[0] for row in await sql(world, sizes, p=UUID(judged.project["id"]))} == {2}
