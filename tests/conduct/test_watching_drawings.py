"""Cheats among people who draw, who say several classes, or who say of each pixel what it is."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import numpy as np
import pytest

from bench.adversaries import HONEST, Person, Setting, cheats, honest, project
from bench.drawn_adversaries import drawings
from tessera.kernel.settings import Settings
from tessera.shapes.rasters import Strokes
from tests.client import As
from tests.conduct.log import Log, id_of, of_choices, of_drawings, write
from tests.quality.court import SIDE, court
from tests.quality.own_world import world_of_its_own
from tests.seeds import seeds
from tests.world import World

CHEATS: Mapping[str, tuple[int, set[str]]] = {
    "clicker": (4, {"random"}),
    "constant": (4, {"constant", "random"}),
    "fast": (4, {"fast", "random"}),
    "ring": (5, {"ring"}),
    "scheduled": (3, {"mechanical"}),
    "slacker": (4, {"falling", "random"}),
}
SETTING = Setting(items=1_000, gold=100)
CLASSES = [
    {"id": number + 1, "name": name, "colour": "#e6194b"}
    for number, name in enumerate(("cat", "dog", "owl", "fox"))
]
Json = dict[str, Any]


@dataclass
class Watched:
    people: list[Person]
    receipts: list[list[Json]]
    """Of each, newest first."""
    listed: dict[int, Json]
    """The operator's list, by number."""

    def of(self, *kinds: str) -> list[int]:
        return [number for number, each in enumerate(self.people) if each.kind in kinds]


def crowd(seed: int) -> list[Person]:
    people = honest(30, seed, 3)
    for kind, (count, _) in CHEATS.items():
        people += cheats(kind, count, seed, classes=3)
    # of those who look at every third picture, a hundred answers tell but of some
    return [replace(each, skill=0.1) if each.kind == "fast" else each for each in people]


async def watched(world: World, people: list[Person], log: Log, **asks: Any) -> Watched:
    """After the sweep that has the project estimated, and so watched."""
    policy = {"min_overlap": 4, "max_overlap": 4, "redo": 0}
    here = await court(world, "one.jpg", quality=policy, **asks)
    await here.launch()
    earners = await asyncio.gather(*(world.earner() for _ in people))
    ids = list(await asyncio.gather(*map(id_of, earners)))
    await write(here, log, ids)
    await world.work.sweep("estimate")
    await here.judge()
    listed = await _listed(here.operator, f"{here.path}/earners?limit=100")
    told = await asyncio.gather(*(each.get("/v1/decisions?limit=200") for each in earners))
    by_number = {number: listed[str(each)] for number, each in enumerate(ids)}
    return Watched(people, [each["items"] for each in told], by_number)


async def _listed(operator: As, path: str) -> dict[str, Json]:
    page = await operator.get(path)
    return {each["earner_id"]: each for each in page["items"]}


@pytest.fixture(scope="module", params=seeds(2))
async def drawn(request: Any, settings: Settings, superuser: asyncpg.Connection) -> Watched:
    people = crowd(request.param)
    log = of_drawings(drawings(people, request.param, SETTING))
    schema = {"classes": CLASSES[:3]}
    async with world_of_its_own(settings, superuser) as world:
        return await watched(world, people, log, kind="box", label_schema=schema)


@pytest.mark.parametrize("kind", CHEATS)
def test_cheats_of_every_kind_are_told_of_by_what_they_draw(drawn: Watched, kind: str) -> None:
    them, signals = drawn.of(kind), CHEATS[kind][1]
    told = [each for each in them if signals & set(drawn.listed[each]["signals"])]
    assert len(told) > 0.6 * len(them)
    for number in told:
        (receipt,) = drawn.receipts[number]
        assert receipt["rule"] == "unusual-answers"
        assert receipt["effect"] in {"checked", "slowed"}
        assert receipt["numbers"].keys() == set(drawn.listed[number]["signals"])
        assert drawn.listed[number]["blocked_at"] is None


def test_people_who_draw_as_well_as_they_can_are_left_alone(drawn: Watched) -> None:
    """Weak ones, who lean to a class, who work by night, and who tire are among them."""
    told = [number for number in drawn.of(*HONEST) if drawn.receipts[number]]
    assert len(told) <= 1


def whole(named: int) -> Json:
    """That all of a picture shows one class."""
    columns = np.arange(SIDE)
    everywhere = Strokes(columns, columns * 0, columns * 0 + SIDE)
    return {"regions": [{"class": named, "mask": everywhere.as_json(), "attributes": {}}]}


@pytest.mark.long
@pytest.mark.parametrize("kind", ["classify", "semantic_mask"])
async def test_cheats_are_told_of_where_an_answer_says_several_things(
    world: World, kind: str
) -> None:
    people = honest(60, 1) + cheats("clicker", 4, 1) + cheats("constant", 4, 1)
    made = project(people, 1, Setting(items=2_400))
    several = kind == "classify"
    log = of_choices(made, (lambda named: {"classes": [named]}) if several else whole)
    schema = {"classes": CLASSES, **({"multiple": True} if several else {})}
    found = await watched(world, people, log, kind=kind, label_schema=schema)
    bad = found.of("clicker", "constant")
    assert np.mean([bool(found.listed[each]["signals"]) for each in bad]) > 0.6
    assert sum(bool(found.receipts[each]) for each in found.of(*HONEST)) <= 1
