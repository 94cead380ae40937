"""Known answers: bringing them in, hiding them, and making more of them."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.quality.trust import unsure_score
from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.images.ingesting import desk
from tests.quality.court import ANIMALS, CAT, DOG, SIDE, Court, always, coco, court
from tests.world import World, photograph

GOLD = [f"gold {number}.jpg" for number in range(6)]
COMMON = [f"common {number}.jpg" for number in range(20)]


async def expected(world: World) -> dict[str, Any]:
    """What is known, by image and tile number."""
    async with db.reading(world.sessions) as reader:
        rows = await reader.execute(
            text(
                "SELECT images.name || ' ' || tiles.number, gold.expected FROM gold"
                " JOIN tasks ON tasks.id = gold.task_id JOIN tiles ON tiles.id = tasks.tile_id"
                " JOIN images ON images.id = tiles.image_id"
            )
        )
        return dict(rows.all())


async def test_boxes_become_gold_of_the_tiles_that_show_them(world: World) -> None:
    here = await desk(world, slicing={"tile": 128, "margin": 0, "format": "jpeg"})
    await here.bring({"a.jpg": photograph(256, 128)})
    known = coco(["a.jpg"], "coin")
    known["images"][0]["height"] = 128
    known["categories"].append({"id": 10, "name": "cup"})
    known["annotations"] = [
        {"id": 1, "image_id": 0, "category_id": 9, "bbox": [20, 30, 40, 50]},
        {"id": 2, "image_id": 0, "category_id": 10, "bbox": [200, 10, 20, 20], "iscrowd": 1},
        {"id": 3, "image_id": 0, "category_id": 9, "bbox": [100, 100, 56, 20]},
    ]
    path = f"/v1/projects/{here.project_id}/gold"
    (taken,) = await here.operator.post(path, {"coco": known}, status=201)
    assert taken == {"file_name": "a.jpg", "gold_tasks": 2, "launched_tasks": 0}
    found = await expected(world)
    coin = {"class": 1, "attributes": {}}
    assert found["a.jpg 0"]["objects"] == [
        {**coin, "box": [20, 30, 60, 80]},
        {**coin, "box": [100, 100, 128, 120]},
    ]
    assert found["a.jpg 1"]["objects"] == [
        {**coin, "box": [0, 100, 28, 120]},
        {"class": 2, "attributes": {}, "box": [72, 10, 92, 30], "optional": True},
    ]


async def test_image_labels_become_gold_of_a_classify_project(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", "c.jpg")
    known = coco(["a.jpg", "b.jpg"], "dog")
    known["annotations"].pop()  # nothing is said of b, so one class cannot be known
    taken = await here.operator.post(f"{here.path}/gold", {"coco": known}, status=201)
    assert [each["gold_tasks"] for each in taken] == [1, 0]
    assert await expected(world) == {"a.jpg 0": DOG}
    tasks = await here.tasks()
    assert {name: task["is_gold"] for name, task in tasks.items()} == {
        "a.jpg": True,
        "b.jpg": False,
        "c.jpg": False,
    }


async def test_imported_again_the_last_file_counts(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", label_schema={**ANIMALS, "multiple": False})
    await here.gold(["a.jpg", "b.jpg"], "cat")
    await here.gold(["a.jpg"], "dog")
    assert await expected(world) == {"a.jpg 0": DOG, "b.jpg 0": CAT}
    nothing_known = {**coco(["b.jpg"]), "annotations": []}
    await here.operator.post(f"{here.path}/gold", {"coco": nothing_known}, status=201)
    assert await expected(world) == {"a.jpg 0": DOG}
    assert (await here.tasks())["b.jpg"]["is_gold"] is False
    planned = await here.operator.get(f"{here.path}/estimate")
    assert (planned["tasks"], planned["gold_tasks"]) == (1, 1)


@pytest.mark.long
async def test_a_file_is_taken_as_a_whole_or_not_at_all(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg")
    await here.gold(["b.jpg"])
    one_unknown = coco(["a.jpg", "b.jpg"])
    one_unknown["categories"].append({"id": 10, "name": "unicorn"})
    one_unknown["annotations"][1]["category_id"] = 10
    problems = [
        (coco(["a.jpg", "c.jpg"]), "unknown-image"),
        (coco(["a.jpg"], "unicorn"), "unknown-class"),
        (one_unknown, "unknown-class"),
        (coco(["a.jpg", "b.jpg"]) | {"annotations": [{"image_id": 0}]}, "bad-coco"),
        (coco([f"{number}.jpg" for number in range(40_000)]), "unknown-image"),
    ]
    other_size = coco(["a.jpg", "b.jpg"])
    other_size["images"][1]["width"] = SIDE * 2
    outside = coco(["a.jpg", "b.jpg"])
    outside["annotations"][1]["bbox"] = [0, 0, SIDE * 2, 5]
    async with nothing_changes(world.sessions):
        for known, code in [*problems, (other_size, "bad-coco"), (outside, "bad-coco")]:
            problem = await here.operator.post(f"{here.path}/gold", {"coco": known}, status=422)
            assert problem["code"] == code, problem


async def test_an_image_that_is_not_sliced_yet_is_not_known(world: World) -> None:
    here = await court(world, "a.jpg")
    file = {"name": "late.jpg", "content_type": "image/jpeg"}
    await here.operator.post(f"{here.path}/images", {"files": [file]})
    problem = await here.gold(["a.jpg", "late.jpg"], status=422)
    assert (problem["code"], problem["images"]) == ("unknown-image", ["late.jpg"])


async def test_a_launched_task_stays_what_it_was(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg")
    await here.gold(["b.jpg"])
    await here.launch()
    (first, second) = await here.gold(["a.jpg", "b.jpg"], "dog")
    assert (first["gold_tasks"], first["launched_tasks"]) == (0, 1)
    assert (second["gold_tasks"], second["launched_tasks"]) == (0, 1)
    assert await expected(world) == {"b.jpg 0": CAT}


async def test_strangers_and_earners_bring_in_no_gold(world: World) -> None:
    here = await court(world, "a.jpg")
    stranger, _ = await world.operator()
    (earner,) = await here.earners(1)
    await stranger.post(f"{here.path}/gold", {"coco": coco(["a.jpg"])}, status=404)
    await earner.post(f"{here.path}/gold", {"coco": coco(["a.jpg"])}, status=404)
    assert await expected(world) == {}


async def mixed(world: World, **quality: Any) -> Court:
    policy = {"min_overlap": 2, "max_overlap": 4, **quality}
    here = await court(world, *GOLD, *COMMON, quality=policy)
    await here.gold(GOLD)
    await here.launch()
    return here


async def test_gold_looks_like_everything_else_to_who_answers_it(world: World) -> None:
    here = await mixed(world)
    (earner,) = await here.earners(1)
    leases = await here.lease(earner)
    seen = {here.seen(lease): lease for lease in leases}
    gold = [lease for name, lease in seen.items() if name in GOLD]
    common = [lease for name, lease in seen.items() if name in COMMON]
    assert gold
    assert common
    assert {_shape(lease) for lease in gold} == {_shape(lease) for lease in common}
    assert all("gold" not in str(lease) for lease in leases)
    await here.answer(earner, leases, always(CAT))
    for page in ("/v1/work/leases", "/v1/earnings", f"/v1/work/offers/{here.project['id']}"):
        assert "gold" not in str(await earner.get(page))
    everything = await here.earnings(earner)
    assert len({_shape(each) for each in everything}) == 1


def _shape(value: Any) -> Any:
    """Names and types, without the values."""
    if isinstance(value, dict):
        return tuple((name, _shape(inner)) for name, inner in sorted(value.items()))
    return type(value).__name__


@pytest.mark.long
async def test_the_time_of_a_decision_does_not_tell_which_task_was_gold(world: World) -> None:
    here = await mixed(world)
    first, second = await here.earners(2)
    leases = await here.lease(first)
    gold = {each["lease_id"] for each in leases if here.seen(each) in GOLD}
    await here.answer(first, leases, always(CAT))
    await here.judge()
    assert gold
    assert {each["state"] for each in await here.earnings(first)} == {"pending"}, (
        "gold is known to be right by now, and nothing shows it"
    )
    theirs = {here.seen(each) for each in leases} & set(COMMON)
    while common := [each for each in await here.lease(second) if here.seen(each) in theirs]:
        for each in common:
            await here.answer(second, [each], always(CAT))
            await here.judge()
    decided = {each["lease_id"]: each for each in await here.earnings(first)}
    assert {each["state"] for each in decided.values()} == {"approved"}
    ordinary = {each["decided_at"] for id_, each in decided.items() if id_ not in gold}
    assert len(ordinary) == len(theirs)
    with_whom = [decided[id_]["decided_at"] for id_ in gold]
    assert set(with_whom) <= ordinary, "gold comes with an ordinary decision"
    assert len(set(with_whom)) > 1, "and not all of it with the first"


async def test_nobody_meets_a_gold_task_twice(world: World) -> None:
    here = await mixed(world)
    for earner in await here.earners(3):
        seen = await here.work(earner, always(CAT))
        assert len(seen) == len(set(seen))
        await here.judge()


async def test_doubt_about_gold_counts_less_than_a_mistake_and_is_not_free(world: World) -> None:
    here = await mixed(world)
    (earner,) = await here.earners(1)
    unsure: Mapping[str, Mapping[str, Any]] = {
        GOLD[0]: {"outcome": "not_sure"},
        GOLD[1]: {"outcome": "broken"},
        GOLD[2]: DOG,
    }
    seen = await here.work(earner, lambda name: unsure.get(name) or CAT)
    await here.judge()
    assert set(seen) >= set(GOLD)
    async with db.reading(world.sessions) as reader:
        scores = await reader.scalars(text("SELECT score FROM answers WHERE score IS NOT NULL"))
        doubt = unsure_score(0.6, chance=1 / 3)
        assert sorted(scores) == pytest.approx([0, doubt, doubt, 1, 1, 1])
        trust = (await reader.execute(text("SELECT seen, missed, unsure FROM trust"))).one()
        assert trust == (6, 1, 2)


async def test_a_label_is_not_held_against_those_who_made_it(world: World) -> None:
    here = await court(world, "a.jpg", quality={"min_overlap": 3, "max_overlap": 4})
    await here.launch()
    await here.say(CAT, CAT, DOG)
    task_id = (await here.tasks())["a.jpg"]["id"]
    if (await here.tasks())["a.jpg"]["state"] != "settled":
        await here.say(CAT)
    await here.operator.post(f"/v1/tasks/{task_id}/gold", status=201)
    await here.pictures(*"bcdefgh")
    await here.launch()
    (late,) = await here.say(CAT)
    async with db.reading(world.sessions) as reader:
        scored = await reader.execute(
            text("SELECT earner_id, score FROM answers WHERE score IS NOT NULL")
        )
        assert [(str(who), score) for who, score in scored] == [(await _id(late), 1)]


async def _id(person: As) -> str:
    return str((await person.get("/v1/me"))["person_id"])


async def test_a_settled_task_becomes_gold_for_as_many_as_were_paid_for(world: World) -> None:
    here = await court(world, "a.jpg", quality={"min_overlap": 2, "max_overlap": 3, "redo": 1})
    await here.launch()
    task_id = (await here.tasks())["a.jpg"]["id"]
    problem = await here.operator.post(f"/v1/tasks/{task_id}/gold", status=409)
    assert problem["code"] == "not-settled"
    await here.say(CAT, CAT)
    made = await here.operator.post(f"/v1/tasks/{task_id}/gold", status=201)
    assert made["expected"]["classes"] == CAT["classes"]
    again = await here.operator.post(f"/v1/tasks/{task_id}/gold", status=201)
    assert again == made, "saying it twice does nothing twice"
    async with db.reading(world.sessions) as reader:
        places = await reader.execute(text("SELECT lane, place FROM queue_entries ORDER BY place"))
        assert places.all() == [(2, 3), (2, 4)], "the two places that were not needed"
    stranger, _ = await world.operator()
    await stranger.post(f"/v1/tasks/{task_id}/gold", status=404)


async def test_a_task_whose_places_are_all_used_cannot_become_gold(world: World) -> None:
    policy = {"min_overlap": 1, "max_overlap": 1, "redo": 0, "target_confidence": 0.5}
    here = await court(world, "a.jpg", quality=policy)
    await here.launch()
    await here.say(CAT)
    task = (await here.tasks())["a.jpg"]
    assert task["state"] == "settled"
    problem = await here.operator.post(f"/v1/tasks/{task['id']}/gold", status=409)
    assert problem["code"] == "no-places-left"
    assert (await here.tasks())["a.jpg"]["is_gold"] is False
