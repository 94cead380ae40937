"""What is told of gold, and what becomes of gold whose answer went round."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from tessera.kernel import db
from tests.quality.court import CAT, DOG, Court, always, court
from tests.world import World

GOLD = [f"gold {number}.jpg" for number in range(3)]
COMMON = [f"common {number}.jpg" for number in range(6)]
PEOPLE = 40


async def watched(here: Court) -> dict[str, Any]:
    """What is told of each gold task, by the name of its image."""
    page = await here.operator.get(f"{here.path}/gold")
    names = {each["id"]: name for name, each in (await here.tasks()).items()}
    return {names[each["task_id"]]: each for each in page["items"]}


async def look(here: Court) -> None:
    await here.world.work.sweep("check-gold")
    await here.judge()


async def answered_by_many(here: Court, name: str, *, known_from: int) -> None:
    """Have so many people answer all gold and some ordinary tasks; from one on, they know one.

    People are rows here: forty newcomers through the front door take a minute. Their leases take no
    places, of which there are not so many.
    """
    async with db.transaction(here.world.sessions) as session:
        project_id = UUID(here.project["id"])
        await session.execute(_ANSWERED, {"project_id": project_id, "people": PEOPLE})
        await session.execute(_KNOWN, {"project_id": project_id, "name": name, "since": known_from})


# a lease a minute; everybody is trusted with 0.8, and right as often; a third of a second more or
# less than five seconds
_ANSWERED = text(
    """
    WITH people AS (
      SELECT number, gen_random_uuid() AS id FROM generate_series(1, :people) AS number
    ), trusted AS (
      INSERT INTO trust (project_id, earner_id, alpha, beta, seen, missed)
      SELECT :project_id, id, 8, 2, 10, 2 FROM people
    ), leased AS (
      INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, leased_at, expires_at)
      SELECT :project_id, tasks.id, people.id, 1, 1000 + people.number, 'expired',
             now() - interval '1 day' + people.number * interval '1 minute', now()
      FROM people, tasks WHERE tasks.project_id = :project_id
      RETURNING *
    )
    INSERT INTO answers (project_id, lease_id, task_id, earner_id, outcome, value, seconds, score,
                         verdict)
    SELECT :project_id, leased.id, leased.task_id, leased.earner_id, 'answered',
           '{"classes": [1]}', 5 + (leased.place * 7 + ascii(images.name)) % 5 / 2.0,
           CASE WHEN tasks.is_gold THEN CAST(leased.place % 5 <> 0 AS int) END, 'accepted'
    FROM leased JOIN tasks ON tasks.project_id = :project_id AND tasks.id = leased.task_id
    JOIN tiles ON tiles.id = tasks.tile_id JOIN images ON images.id = tiles.image_id
    """
)
_KNOWN = text(
    """
    UPDATE answers SET score = 1, seconds = 2
    FROM leases, tasks, tiles, images
    WHERE answers.project_id = :project_id AND leases.project_id = :project_id
      AND leases.id = answers.lease_id AND tasks.id = answers.task_id
      AND tasks.project_id = :project_id AND tiles.id = tasks.tile_id
      AND images.id = tiles.image_id AND images.name = :name AND leases.place >= 1000 + :since
    """
)


async def reviewed(here: Court, name: str) -> None:
    """Have a reviewer decide a task that people do not agree on."""
    task = (await here.tasks())[name]
    await here.operator.post(f"/v1/tasks/{task['id']}/review", {"label": DOG})


async def ready(world: World) -> Court:
    here = await court(world, *GOLD, *COMMON, quality={"min_overlap": 2, "max_overlap": 4})
    await here.gold(GOLD)
    await here.launch()
    return here


async def places(here: Court) -> int:
    async with db.reading(here.world.sessions) as reader:
        return int((await reader.execute(text("SELECT sum(places) FROM tasks"))).scalar_one())


async def test_operators_read_how_their_gold_is_answered(world: World) -> None:
    here = await ready(world)
    new = await watched(here)
    assert {*new} == {*GOLD}
    assert {each["strength"] for each in new.values()} == {None}
    await answered_by_many(here, GOLD[0], known_from=PEOPLE + 1)
    await look(here)
    told = await watched(here)
    for each in told.values():
        assert (each["answers"], each["exposures"], each["pictures"]) == (PEOPLE, PEOPLE, 1)
        assert (each["accuracy"], each["expected_accuracy"]) == (0.8, 0.8)
        assert 0.8 < each["pace"] < 1.25
        assert each["strength"] < 1
        assert (each["retired_at"], each["retired_reason"]) == (None, None)
        assert each["shown_id"] == each["task_id"]
        assert each["checked_at"] is not None


async def test_gold_whose_answer_went_round_is_replaced_by_what_was_reviewed(
    world: World,
) -> None:
    here = await ready(world)
    await reviewed(here, COMMON[0])
    before = await places(here)
    await answered_by_many(here, GOLD[1], known_from=15)
    await look(here)
    told = await watched(here)
    assert {name for name, each in told.items() if each["retired_at"]} == {GOLD[1]}
    leaked = told[GOLD[1]]
    assert (leaked["retired_reason"], leaked["strength"] > 3) == ("leaked", True)
    assert leaked["late_accuracy"] > leaked["early_accuracy"]
    assert {*told} == {*GOLD, COMMON[0]}, "and the reviewed one is gold now"
    assert await places(here) == before, "from places that were paid for"
    await look(here)
    assert {*await watched(here)} == {*GOLD, COMMON[0]}, "once"
    met: list[str] = []
    for _ in range(4):  # gold comes by chance
        (newcomer,) = await here.earners(1)
        met += await here.work(newcomer, always(CAT))
        if COMMON[0] in met:
            break
    assert COMMON[0] in met
    assert GOLD[1] not in met


async def test_the_last_gold_of_a_project_goes_on(world: World) -> None:
    here = await court(world, GOLD[0], *COMMON, quality={"min_overlap": 2, "max_overlap": 4})
    await here.gold(GOLD[:1])
    await here.launch()
    await answered_by_many(here, GOLD[0], known_from=15)
    await look(here)
    (told,) = (await watched(here)).values()
    assert told["strength"] > 3
    assert told["retired_at"] is None
    await reviewed(here, COMMON[0])
    await look(here)
    assert (await watched(here))[GOLD[0]]["retired_reason"] == "leaked"


async def test_gold_comes_in_pages_and_only_to_those_who_may_read_it(world: World) -> None:
    here = await ready(world)
    seen, cursor = [], ""
    for _ in range(3):
        page = await here.operator.get(f"{here.path}/gold?limit=1{cursor}")
        seen += [each["task_id"] for each in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert len(set(seen)) == 3
    assert (await here.operator.get(f"{here.path}/gold?limit=1{cursor}"))["items"] == []
    for wrong in ("limit=0", "limit=201", "cursor=x", "after=1"):
        await here.operator.get(f"{here.path}/gold?{wrong}", status=422)
    stranger, _ = await world.operator()
    (earner,) = await here.earners(1)
    await stranger.get(f"{here.path}/gold", status=404)
    await earner.get(f"{here.path}/gold", status=404)
