"""Whatever an earner reads, it tells neither a known answer nor which tasks have one."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tests.api.authorisation_table import ANYBODY, EARNERS, EVERYBODY, TABLE
from tests.stories.observing import LIMIT, SURE, Observed, Seen
from tests.stories.watching import (
    ANYWHERE,
    TILE,
    Noting,
    Telling,
    noting,
    tells_nothing,
    watched,
)
from tests.world import World, answers, photograph

Json = dict[str, Any]
SIDE = 2 * TILE
INSTRUMENTS = (
    *("harpsichord", "oboe", "clarinet", "contrabassoon", "glockenspiel", "xylophone"),
    *("bandoneon", "hurdy-gurdy", "theremin", "vibraphone"),
)
"""Of two of them the answers are known; the others are work enough that everybody meets those."""
IDS = (718_281_828, 314_159_265, 271_828_182, 141_421_356)
"""Of images, annotations and the category in the file of known answers: nobody guesses these."""


def known_answers(names: list[str]) -> Json:
    """One coin in each of the four tiles of some images, drawn to a ten-thousandth of a pixel."""
    rng = random.Random(7)
    edges = [
        [tile_x + rng.uniform(3, 50), tile_y + rng.uniform(3, 50), *rng.choices(range(40, 70), k=2)]
        for _ in names
        for tile_x in (0, TILE)
        for tile_y in (0, TILE)
    ]
    return {
        "images": [
            {"id": IDS[0] + i, "file_name": name, "width": SIDE, "height": SIDE}
            for i, name in enumerate(names)
        ],
        "categories": [{"id": IDS[2], "name": "coin"}],
        "annotations": [
            {
                "id": IDS[1] + i,
                "image_id": IDS[0] + i // 4,
                "category_id": IDS[2],
                "bbox": [round(left, 4), round(top, 4), width + 0.0707, height + 0.0909],
            }
            for i, (left, top, width, height) in enumerate(edges)
        ],
    }


async def canaries(world: World, file: Json) -> set[str]:
    """Numbers as they came in and as they are kept.

    Not those that turn up anywhere by chance: short ones, and what may be the seconds of a time.
    """
    async with db.reading(world.sessions) as reader:
        kept = (await reader.scalars(text("SELECT expected FROM gold"))).all()
    assert len(kept) == 8
    written = re.findall(r"[\d.]+", json.dumps([file["annotations"], kept]))
    told = {each for each in written if len(each) > 5 and float(each) >= 60}
    assert len(told) > 20
    return {*told, *(str(each) for each in IDS)}


async def test_nothing_an_earner_reads_contains_a_known_answer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**9)
    slicing = {"tile": TILE, "margin": 0}
    quality = {"min_overlap": 1, "max_overlap": 2}
    project = await world.project(operator, organisation_id, slicing=slicing, quality=quality)
    names = [f"{each}.jpg" for each in INSTRUMENTS]
    await world.images(operator, project["id"], [(each, photograph(SIDE, SIDE)) for each in names])
    file = known_answers([names[0], names[3]])
    await operator.post(f"/v1/projects/{project['id']}/gold", {"coco": file})
    await operator.post(f"/v1/projects/{project['id']}/launch")
    await world.work.jobs()
    secrets = {*await canaries(world, file), *names}

    careless, second = await noting(world), await noting(world)
    for earner in (careless, second):
        await _a_life_of_work(world, earner, project["id"])
    await operator.post(f"/v1/projects/{project['id']}/complete")
    for _ in range(2):
        await world.work.jobs()
        await world.work.sweep("post-earnings")
    for earner in (careless, second):
        await _read_everything(earner, project["id"])

    effects = Counter(each["effect"] for each in (await careless.get("/v1/decisions"))["items"])
    assert effects["stopped"] == 1, "somebody was told that they missed check tasks"
    read = [*careless.read, *second.read, await world.http.get("/metrics")]
    for response in read:
        told = str(response.request.url) + str(response.headers) + response.text
        assert not [secret for secret in secrets if secret in told], told
    logged = capsys.readouterr().out
    assert "/work/answers" in logged
    assert not [secret for secret in secrets if secret in logged]


async def _a_life_of_work(world: World, earner: Noting, project_id: str) -> None:
    """Lease, look, extend, give back, answer badly, answer, answer again, answer otherwise."""
    while leases := (await earner.post("/v1/work/leases", {"project_id": project_id}))["leases"]:
        ids = [each["lease_id"] for each in leases]
        await earner.look(leases)
        await earner.post("/v1/work/leases/extend", {"lease_ids": ids})
        await earner.post("/v1/work/leases/return", {"lease_ids": ids[:1], "reason": "skip"})
        outside = {"objects": [{"class": 1, "box": [0, 0, 10**6, 10]}]}
        other = {"objects": [{"class": 2, "box": [0, 0, 9, 9]}]}
        for value in (outside, ANYWHERE, ANYWHERE, other):
            await earner.call("POST", "/v1/work/answers", answers(leases, value))
        await world.work.jobs()
        if (await earner.get(f"/v1/work/offers/{project_id}"))["blocked_reason"]:
            break
    await earner.call("POST", "/v1/work/leases", {"project_id": project_id})


async def _read_everything(earner: Noting, project_id: str) -> None:
    """Every route that an earner may read, and what says what there is."""
    decisions = (await earner.get("/v1/decisions"))["items"]
    ids = {"project_id": project_id, "decision_id": decisions[0]["id"] if decisions else uuid4()}
    for route, row in TABLE.items():
        if route.startswith("GET ") and row.who in (EARNERS, EVERYBODY, ANYBODY):
            await earner.call("GET", route[4:].format(**ids))
    await earner.call("GET", "/openapi.json")


SIZES = [
    pytest.param(3, 16, id="small"),
    pytest.param(40, 300, id="large", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("images", "earners"), SIZES)
async def test_nothing_an_earner_sees_of_a_task_tells_whether_it_is_gold(
    world: World, images: int, earners: int
) -> None:
    seen = await watched(world, images=images, earners=earners)
    tells_nothing(seen.observed(seen.leased))


async def test_no_answer_tells_before_decisions_are_told_whether_it_was_to_gold(
    telling: Telling,
) -> None:
    async with telling(timedelta(days=1)) as world:
        seen = await watched(world, images=2, earners=10)
    tells_nothing(seen.observed(seen.answered))


@pytest.mark.long
async def test_when_a_decision_is_told_does_not_tell_whether_it_was_about_gold(
    telling: Telling,
) -> None:
    """They settle over many times of telling."""
    async with telling(timedelta(seconds=5)) as world:
        seen = await watched(world, images=40, earners=200)
    tells_nothing(seen.observed(seen.answered))


def _seen(rng: random.Random, *, leak: float) -> Iterator[tuple[Seen, str, bool]]:
    for task in range(100):
        gold = task % 2 == 0
        for _ in range(4):
            tells = gold if rng.random() < leak else rng.random() < 0.5
            yield {"said": tells, **{f"{i}": rng.random() for i in range(50)}}, str(task), gold


@pytest.mark.parametrize(("leak", "found"), [(0.0, False), (0.6, True), (1.0, True)])
def test_what_would_tell_gold_is_found(leak: float, found: bool) -> None:  # noqa: FBT001
    seen, tasks, gold = zip(*_seen(random.Random(3), leak=leak), strict=True)
    observed = Observed(seen, tasks, gold)
    assert [each.feature for each in observed.told()] == (["said"] if found else [])
    learned, error = observed.learned()
    assert (learned > LIMIT + SURE * error) is found
    assert (observed.boosted() > LIMIT + 0.05) is found
