"""What an audit tells of a version: of its own tiles, and not of those that were left out."""

from datetime import timedelta
from typing import Any
from uuid import uuid5

from tessera.datasets.audited import Audited
from tessera.kernel import db
from tessera.quality.estimated_accuracy import by_audit
from tessera.quality.review_models import Audit, AuditTask
from tessera.storage.context import JobContext
from tests.datasets.reading import built
from tests.datasets.world import (
    SPACE,
    THEN,
    Cut,
    Picture,
    World,
    a_world,
    box,
    boxes,
    tile_of,
    whole,
)

ONE = boxes(box(7, 10, 10, 30, 30))
EARLIER = THEN - timedelta(days=2)
DRAWN = THEN - timedelta(days=1)
Looks = list[tuple[str, bool, bool]]
"""Of a picture: whether its label was right, and whether it was corrected."""


async def audited(context: JobContext, world: World, looks: Looks) -> None:
    """An audit of the first tile of each of some pictures."""
    async with db.transaction(context.sessions) as session:
        of_project = {"project_id": world.project_id, "created_by": world.run_id, "quality": {}}
        numbers = {"seed": 1, "population": 40, "size": len(looks), "right_from": 0.75}
        audit = Audit(**of_project, **numbers, created_at=DRAWN, finished_at=THEN)
        session.add(audit)
        await session.flush()
        for number, (name, is_right, is_corrected) in enumerate(looks, start=1):
            session.add(
                AuditTask(
                    audit_id=audit.id,
                    number=number,
                    project_id=world.project_id,
                    task_id=uuid5(tile_of(world.project_id, name, 0), "task"),
                    label=ONE,
                    is_right=is_right,
                    is_corrected=is_corrected,
                    review_id=uuid5(SPACE, name),
                )
            )


async def estimated(context: JobContext, world: World) -> Any:
    return (await built(context, world)).manifest["estimated_accuracy"]


PICTURES = [
    *(whole(f"{number:02}.jpg", ONE, settled_at=EARLIER) for number in range(10)),
    whole("corrected.jpg", ONE, by="review"),
    whole("gold.jpg", ONE, by="gold"),
    Picture(
        "half.jpg",
        200,
        100,
        [Cut((0, 0, 140, 100), label=ONE, settled_at=EARLIER), Cut((60, 0, 200, 100))],
    ),
]
LOOKS: Looks = [
    ("00.jpg", True, False),
    ("01.jpg", True, False),
    ("02.jpg", False, False),
    ("corrected.jpg", False, True),
    ("half.jpg", False, False),
]


async def test_only_tiles_that_are_in_the_version_tell_of_it(context: JobContext) -> None:
    """Eleven labels were there and are, or were corrected; four of them were looked at."""
    world = await a_world(context.sessions, PICTURES)
    await audited(context, world, LOOKS)
    told = await estimated(context, world)
    assert told["sample"] == {"size": 4, "right": 2, "labels": 10, "later": 0}
    # of eleven two were right for sure, and two were not; one of those is no longer there
    assert (told["low"], told["high"]) == (0.2, 0.9)
    assert told["value"] == 0.55


async def test_what_was_settled_after_the_draw_may_be_right_or_wrong(context: JobContext) -> None:
    later = [whole(f"late {number}.jpg", ONE) for number in range(10)]
    world = await a_world(context.sessions, [*PICTURES, *later])
    await audited(context, world, LOOKS)
    told = await estimated(context, world)
    assert (told["sample"]["labels"], told["sample"]["later"]) == (20, 10)
    assert (told["low"], told["high"]) == (0.1, 0.95)


async def test_without_an_audit_of_what_is_in_it_nothing_is_claimed(context: JobContext) -> None:
    world = await a_world(context.sessions, PICTURES)
    await audited(context, world, [("half.jpg", True, False)])
    assert await estimated(context, world) is None


def test_of_nothing_nothing_is_told() -> None:
    nothing = Audited(None, None)
    nothing.next_image(None)
    assert nothing.labels == 0
    assert by_audit(nothing.sample, corrected=0, later=0) is None
