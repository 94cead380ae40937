"""Lazy acceptance is noticed: some of the gold of a project that verifies is wrong."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.kinds import KINDS, LabelSchema, Question
from tessera.quality.planting import watched
from tessera.quality.views import Place, Seen
from tests.client import As
from tests.kinds.samples import tiles_of, whole
from tests.kinds.test_planted import traits
from tests.quality.court import Court, Leases, court, given
from tests.quality.test_predictions import COINS, YES, a_coin, image, predict, subjects
from tests.stories.real_coins import WAYS, kind_of, photographs, schema_of
from tests.world import BOX_SCHEMA, World

GOLD = [f"gold {number}.jpg" for number in range(24)]
COMMON = [f"common {number}.jpg" for number in range(30)]
MISSING = {"verdict": "no", "reason": "missing"}
Say = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def coins(seed: str) -> list[dict[str, Any]]:
    """Some coins, of one class and the other; each picture has its own."""
    dice = np.random.default_rng(list(seed.encode()))
    corners = dice.integers(0, 8, (3, 2)) * 25
    sizes = dice.uniform(14, 24, (3, 2)).round(2)
    return [
        {"class": int(dice.integers(1, 3)), "box": [x, y, round(x + w, 2), round(y + h, 2)]}
        for (x, y), (w, h) in zip(corners.tolist(), sizes.tolist(), strict=True)
    ]


def right(name: str) -> dict[str, Any]:
    return image(name, *coins(name))


def wrong(name: str) -> dict[str, Any]:
    return image(name, *coins(name)[1:])


async def gold(here: Court, *images: dict[str, Any]) -> Any:
    return await here.operator.post(f"{here.path}/gold", {"images": list(images)}, status=201)


async def expected(world: World) -> dict[str, str]:
    """The right verdict by image."""
    async with db.reading(world.sessions) as reader:
        rows = await reader.execute(
            text(
                "SELECT images.name, gold.expected ->> 'verdict' FROM gold"
                " JOIN tasks ON tasks.id = gold.task_id JOIN tiles ON tiles.id = tasks.tile_id"
                " JOIN images ON images.id = tiles.image_id"
            )
        )
        return dict(rows.all())


async def verified(world: World, **quality: Any) -> Court:
    """Launched, with predictions of everything, most of them right, and some gold."""
    policy = {"min_overlap": 2, "max_overlap": 4, "minimum_trust": 0.75, "gold_share": 0.3}
    here = await court(
        world, *GOLD, *COMMON, kind="verify", label_schema=COINS, quality={**policy, **quality}
    )
    await predict(here, *map(right, GOLD), *map(right, COMMON[:20]), *map(wrong, COMMON[20:]))
    await gold(here, *map(right, GOLD))
    await here.launch()
    return here


async def look(here: Court, earner: As, say: Say) -> None:
    """Answer all there is, until there is no more or one is stopped."""
    wanted = {"project_id": here.project["id"], "count": 4}
    while leases := (await earner.call("POST", "/v1/work/leases", wanted)).json().get("leases"):
        body = {"answers": [given(lease, say(lease)) for lease in leases]}
        await earner.post("/v1/work/answers", body)
        await here.judge()


async def offer(here: Court, earner: As) -> Any:
    return await earner.get(f"/v1/work/offers/{here.project['id']}")


@pytest.mark.usefixtures("gold_first")
async def test_who_says_yes_to_everything_is_stopped_and_who_looks_is_not(world: World) -> None:
    here = await verified(world)
    lazy, careful = await here.earners(2)
    await look(here, lazy, lambda _: YES)
    await look(here, careful, lambda lease: _seen(here, lease))
    assert "check tasks" in (await offer(here, lazy))["blocked_reason"]
    assert (await offer(here, careful))["blocked_reason"] is None
    async with db.reading(world.sessions) as reader:
        scores = await reader.execute(text("SELECT seen, missed FROM trust ORDER BY missed"))
        (seen, missed), (_, many) = scores.all()
    assert seen >= 4
    assert (missed, many >= 3) == (0, True)


def _seen(here: Court, lease: Mapping[str, Any]) -> Mapping[str, Any]:
    """What somebody answers who knows what is on the picture."""
    truth = [{**each, "attributes": {}} for each in coins(here.seen(lease))]
    drawn = lease["subject"]["label"]["objects"]
    return YES if sorted(drawn, key=_box) == sorted(truth, key=_box) else MISSING


def _box(each: Mapping[str, Any]) -> Any:
    return each["box"]


async def test_half_of_the_gold_is_wrong_and_brought_in_again_it_is_the_same(
    world: World,
) -> None:
    here = await court(world, *GOLD, kind="verify", label_schema=COINS)
    await gold(here, *map(right, GOLD))
    verdicts, shown = await expected(world), await subjects(world)
    assert sorted(verdicts.values()) == ["fix"] * 12 + ["yes"] * 12
    await gold(here, *map(right, GOLD))
    assert (await expected(world), await subjects(world)) == (verdicts, shown)


async def test_a_prediction_that_is_wrong_stays_and_counts_as_one(world: World) -> None:
    here = await court(world, *GOLD, kind="verify", label_schema=COINS)
    await predict(here, *map(wrong, GOLD[:9]), *map(right, GOLD[9:]))
    before = await subjects(world)
    await gold(here, *map(right, GOLD))
    verdicts, after = await expected(world), await subjects(world)
    for name in GOLD[:9]:
        assert verdicts[name] == "fix"
        assert after[f"{name} 0"] == before[f"{name} 0"]
    spoilt = [name for name in GOLD[9:] if verdicts[name] == "fix"]
    assert len(spoilt) == 3
    changed = [name for name in GOLD if after[f"{name} 0"] != before[f"{name} 0"]]
    assert changed == spoilt


async def test_of_what_can_be_disputed_nobody_is_asked(world: World) -> None:
    """One coin of eleven is missing: instead of that, all of them are shown."""
    row = [a_coin(x, 20, x + 15, 60) for x in range(0, 220, 20)]
    here = await court(world, *GOLD[:4], kind="verify", label_schema=COINS)
    await predict(here, *(image(name, *row[1:]) for name in GOLD[:4]))
    await gold(here, *(image(name, *row) for name in GOLD[:4]))
    verdicts, shown = await expected(world), await subjects(world)
    assert sorted(verdicts.values()) == ["fix", "fix", "yes", "yes"]
    for name, verdict in verdicts.items():
        objects = shown[f"{name} 0"]["label"]["objects"]
        there = sorted((o["box"], o["class"]) for o in objects)
        assert (there == [(o["box"], o["class"]) for o in row]) is (verdict == "yes")
        assert len(objects) != 10


async def test_spoilt_gold_true_gold_and_ordinary_tasks_look_alike(world: World) -> None:
    here = await verified(world)
    (earner,) = await here.earners(1)
    leases = await here.lease(earner, 200)
    verdicts = await expected(world)
    by_sort: dict[str, Leases] = {"yes": [], "fix": [], "ordinary": []}
    for lease in leases:
        by_sort[verdicts.get(here.seen(lease), "ordinary")].append(lease)
    assert min(map(len, by_sort.values())) >= 3
    looks = {sort: set().union(*map(traits, there)) for sort, there in by_sort.items()}
    assert looks["yes"] == looks["ordinary"]
    assert looks["fix"] <= looks["ordinary"]


async def test_who_corrects_what_is_wrong_is_right(world: World) -> None:
    here = await court(world, *GOLD[:4], *COMMON[:8], kind="verify", label_schema=COINS)
    await gold(here, *map(right, GOLD[:4]))
    await predict(here, *map(right, COMMON[:8]))
    await here.launch()
    (earner,) = await here.earners(1)

    def correct(lease: Mapping[str, Any]) -> Mapping[str, Any]:
        if _seen(here, lease) == YES:
            return YES
        return {"verdict": "fix", "label": {"objects": coins(here.seen(lease))}}

    await look(here, earner, correct)
    async with db.reading(world.sessions) as reader:
        scores = await reader.scalars(text("SELECT score FROM answers WHERE score IS NOT NULL"))
        assert set(scores) == {1.0}


async def test_a_later_stage_has_gold_before_anything_is_settled(world: World) -> None:
    boxes = await court(world, *GOLD[:4], kind="box", label_schema=BOX_SCHEMA)
    later = await court(
        world,
        beside=boxes,
        kind="verify",
        label_schema=COINS,
        follows={"project_id": boxes.project["id"]},
    )
    taken = await gold(later, *map(right, GOLD[:4]))
    assert [(each["gold_tasks"], each["launched_tasks"]) for each in taken] == [(1, 0)] * 4
    assert sorted((await expected(world)).values()) == ["fix", "fix", "yes", "yes"]


async def test_a_tile_on_which_nothing_is_can_be_shown_with_something(world: World) -> None:
    here = await court(world, *GOLD[:4], kind="verify", label_schema=COINS)
    await gold(
        here, image(GOLD[0]), image(GOLD[1]), image(GOLD[2]), image(GOLD[3], a_coin(9, 9, 40, 40))
    )
    assert sorted((await expected(world)).values()) == ["fix", "fix", "yes", "yes"]


@pytest.mark.parametrize("way", WAYS)
def test_of_every_kind_half_is_wrong_and_all_of_it_is_what_an_earner_could_have_sent(
    way: str,
) -> None:
    kind = kind_of(way)
    schema = LabelSchema.parse({**schema_of(way), "of": kind})
    under = LabelSchema.parse(schema_of(way))
    seen, state = [], {"is_new": True, "waits": True, "is_gold": False}
    photos = photographs()
    for photograph in photos[: 3 if kind == "classify" else 1]:
        frames = tiles_of(photograph.size, tile=160, margin=16)[:8]
        for frame in [whole(photograph.size)] * 4 if kind == "classify" else frames:
            place = Place(uuid4(), uuid4(), frame=frame, subject=None, **state)
            seen.append(Seen(photograph.name, place, photograph.known(way)))
    cuts = watched(schema, seen)
    assert len(cuts) == len(seen)
    for each in cuts:
        assert each.subject is not None
        label, question = each.subject["label"], Question(under, each.place.frame)
        assert json.dumps(KINDS[kind].validate(label, question)) == json.dumps(label)
        about = Question(schema, each.place.frame, each.subject)
        truth = photos[0].known(way) if kind == "classify" else seen[0].objects
        assert each.expected == KINDS["verify"].to_tile(truth, about)
    verdicts = sorted(each.expected["verdict"] for each in cuts if each.expected)
    assert verdicts == ["fix"] * (len(cuts) // 2) + ["yes"] * (len(cuts) // 2)
    assert [(c.expected, c.subject) for c in watched(schema, seen)] == [
        (c.expected, c.subject) for c in cuts
    ], "the same tasks, in the same way"
