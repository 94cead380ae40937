"""Who sees things is known by gold, and what they alone see does not get into labels."""

from typing import Any

import asyncpg
import pytest

from tessera.kernel.settings import Settings
from tests.quality.court import Court, court
from tests.quality.own_world import world_of_its_own
from tests.world import BOX_SCHEMA

GOLD = [f"gold {number}.jpg" for number in range(12)]
ASKED = {
    "min_overlap": 2,
    "max_overlap": 2,
    "redo": 0,
    "gold_share": 0.5,
    "minimum_trust": 0.5,
    "target_confidence": 0.5,
}
CUP, GHOST = [20.0, 20.0, 80.0, 80.0], [150.0, 150.0, 200.0, 200.0]


def boxes(*where: list[float]) -> dict[str, Any]:
    return {"objects": [{"class": 1, "box": box} for box in where]}


def clear(name: str) -> dict[str, Any]:
    del name
    return boxes(CUP)


def haunted(name: str) -> dict[str, Any]:
    del name
    return boxes(CUP, GHOST)


@pytest.fixture(scope="module")
async def labelled(settings: Settings, superuser: asyncpg.Connection) -> dict[str, Any]:
    async with world_of_its_own(settings, superuser) as world:
        judged = await court(
            world, *GOLD, "a.jpg", "b.jpg", kind="box", label_schema=BOX_SCHEMA, quality=ASKED
        )
        await judged.operator.post(
            f"{judged.path}/gold",
            {"images": [{"file_name": name, **boxes(CUP)} for name in GOLD]},
            status=201,
        )
        await judged.launch()
        first, second = await judged.earners(2)
        await _all(judged, first, haunted)
        await _all(judged, second, clear)
        return await judged.tasks()


async def _all(judged: Court, person: Any, say: Any) -> None:
    await judged.work(person, say)
    await judged.judge()


@pytest.mark.parametrize("name", ["a.jpg", "b.jpg"])
def test_what_only_one_who_sees_things_has_drawn_is_not_there(
    labelled: dict[str, Any], name: str
) -> None:
    task = labelled[name]
    assert task["state"] == "settled"
    assert [each["box"] for each in task["label"]["objects"]] == [CUP]
