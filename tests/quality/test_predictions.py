"""Predictions: brought in, and looked at by people."""

from typing import Any

from sqlalchemy import text

from tessera.accounts.models import Role
from tessera.kernel import db
from tests.api.unchanged import nothing_changes
from tests.images.ingesting import desk
from tests.quality.court import ANIMALS, Court, court, given
from tests.world import BOX_SCHEMA, World, photograph

COINS = {**BOX_SCHEMA, "of": "box"}
YES = {"verdict": "yes"}


def a_coin(*box: float, **more: Any) -> dict[str, Any]:
    return {"class": 1, "box": list(box), **more}


def image(name: str, *objects: dict[str, Any]) -> dict[str, Any]:
    return {"file_name": name, "objects": list(objects)}


async def predict(here: Court, *images: dict[str, Any], status: int = 201) -> Any:
    return await here.operator.post(
        f"{here.path}/predictions", {"images": list(images)}, status=status
    )


async def subjects(world: World) -> dict[str, Any]:
    """What tasks are about, by image and tile number."""
    async with db.reading(world.sessions) as reader:
        rows = await reader.execute(
            text(
                "SELECT images.name || ' ' || tiles.number, tasks.subject FROM tasks"
                " JOIN tiles ON tiles.id = tasks.tile_id JOIN images ON images.id = tiles.image_id"
            )
        )
        return dict(rows.all())


async def test_each_tile_of_a_named_image_is_asked_about_what_is_predicted_there(
    world: World,
) -> None:
    cut = {"tile": 128, "margin": 0, "format": "jpeg"}
    here = await desk(world, kind="verify", label_schema=COINS, slicing=cut)
    await here.bring({"a.jpg": photograph(384, 128), "b.jpg": photograph(128, 128)})
    said = image("a.jpg", a_coin(90, 30, 158, 50, confidence=0.7), a_coin(10, 10, 40, 40))
    path = f"/v1/projects/{here.project_id}"
    (taken,) = await here.operator.post(f"{path}/predictions", {"images": [said]}, status=201)
    assert taken == {
        "file_name": "a.jpg",
        "tasks": 3,
        "gold_tasks": 0,
        "launched_tasks": 0,
        "untold_tiles": 0,
    }
    coin = {"class": 1, "attributes": {}}
    assert await subjects(world) == {
        "a.jpg 0": {
            "label": {
                "objects": [{**coin, "box": [10, 10, 40, 40]}, {**coin, "box": [90, 30, 128, 50]}]
            }
        },
        "a.jpg 1": {"label": {"objects": [{**coin, "box": [0, 30, 30, 50]}]}},
        "a.jpg 2": {"label": {"objects": []}},
    }, "that nothing is there is a prediction, too; of b.jpg nothing is said"
    assert (await here.operator.get(f"{path}/estimate"))["tasks"] == 3


async def test_whoever_is_asked_sees_what_is_predicted_and_how_sure_it_was_does_not_show(
    world: World,
) -> None:
    here = await court(world, "a.jpg", kind="verify", label_schema=COINS)
    await predict(here, image("a.jpg", a_coin(20, 20, 60, 60, confidence=0.31)))
    await here.launch()
    (earner,) = await here.earners(1)
    (lease,) = await here.lease(earner)
    coin = {"class": 1, "box": [20, 20, 60, 60], "attributes": {}}
    assert lease["subject"] == {"label": {"objects": [coin]}}
    await earner.post("/v1/work/answers", {"answers": [given(lease, YES)]})


async def test_brought_in_again_the_last_predictions_count_where_nobody_is_asked_yet(
    world: World,
) -> None:
    here = await court(world, "a.jpg", "b.jpg", "c.jpg", kind="verify", label_schema=COINS)
    await predict(here, image("a.jpg", a_coin(20, 20, 60, 60)))
    await here.launch()
    await predict(here, image("b.jpg", a_coin(20, 20, 60, 60)))
    before = await subjects(world)
    await here.operator.post(f"{here.path}/gold", {"images": [image("c.jpg")]}, status=201)
    again = await predict(
        here, *(image(name, a_coin(30, 30, 90, 90)) for name in ("a.jpg", "b.jpg", "c.jpg"))
    )
    counts = [(each["tasks"], each["gold_tasks"], each["launched_tasks"]) for each in again]
    assert counts == [(0, 0, 1), (1, 0, 0), (0, 1, 0)]
    after = await subjects(world)
    assert after["a.jpg 0"] == before["a.jpg 0"]
    assert after["b.jpg 0"]["label"]["objects"][0]["box"] == [30, 30, 90, 90]


async def test_what_predictions_do_not_tell_is_not_asked(world: World) -> None:
    schema = {**ANIMALS, "of": "classify"}
    here = await court(world, "a.jpg", "b.jpg", kind="verify", label_schema=schema)
    said, unsaid = await predict(here, image("a.jpg", {"class": 2}), image("b.jpg"))
    assert (said["tasks"], said["untold_tiles"]) == (1, 0)
    assert (unsaid["tasks"], unsaid["launched_tasks"], unsaid["untold_tiles"]) == (0, 0, 1)
    assert await subjects(world) == {"a.jpg 0": {"label": {"classes": [2]}}}


async def test_they_are_taken_as_a_whole_or_not_at_all(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", kind="verify", label_schema=COINS)
    good = image("a.jpg", a_coin(20, 20, 60, 60))
    cases = [
        ([good, image("c.jpg")], "unknown-image"),
        ([good, image("../a.jpg")], "unknown-image"),
        ([good, good], "invalid-answer"),
        ([good, image("b.jpg", {"class": 9, "box": [1, 1, 5, 5]})], "invalid-answer"),
        ([good, image("b.jpg", a_coin(20, 20, 600, 60))], "invalid-answer"),
        ([good, image("b.jpg", {"box": [1, 1, 5, 5]})], "invalid-answer"),
    ]
    async with nothing_changes(world.sessions):
        for images, code in cases:
            problem = await predict(here, *images, status=422)
            assert problem["code"] == code, problem
        crowd = image("b.jpg", *[a_coin(10, 10, 20, 20)] * 501)
        assert (await predict(here, good, crowd, status=422))["code"] == "too-many-predictions"


async def test_only_a_project_that_verifies_and_follows_none_takes_them(world: World) -> None:
    boxes = await court(world, "a.jpg", kind="box", label_schema=BOX_SCHEMA)
    later = await court(
        world,
        beside=boxes,
        kind="verify",
        label_schema=COINS,
        follows={"project_id": boxes.project["id"]},
    )
    over = await court(world, "a.jpg", beside=boxes, kind="verify", label_schema=COINS)
    await predict(over, image("a.jpg"))
    await over.launch()
    await over.operator.post(f"{over.path}/complete")
    for here, code in ((boxes, "takes-no-predictions"), (later, "takes-no-predictions")):
        assert (await predict(here, image("a.jpg"), status=409))["code"] == code
    assert (await predict(over, image("a.jpg"), status=409))["code"] == "project-completed"


async def test_strangers_bring_in_none_nor_do_those_who_only_review(world: World) -> None:
    here = await court(world, "a.jpg", kind="verify", label_schema=COINS)
    body = {"images": [image("a.jpg")]}
    stranger, _ = await world.operator()
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    (earner,) = await here.earners(1)
    async with nothing_changes(world.sessions):
        await stranger.post(f"{here.path}/predictions", body, status=404)
        await earner.post(f"{here.path}/predictions", body, status=404)
        await reviewer.post(f"{here.path}/predictions", body, status=403)
