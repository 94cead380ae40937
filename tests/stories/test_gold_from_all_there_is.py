"""S36: gold that is shown in picture after picture, and classifiers of all that can be observed."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tests.stories.observing import LIMIT, Seen
from tests.stories.watching import Telling, tells_nothing, watched
from tests.world import World


@pytest.mark.long
@pytest.mark.parametrize(("images", "earners"), [(3, 20), (16, 120)], ids=["small", "large"])
async def test_nothing_tells_gold_that_is_shown_in_picture_after_picture(
    world: World, images: int, earners: int
) -> None:
    """Made long after all others, of the same file."""
    seen = await watched(world, images=images, earners=earners, rotated=True)
    async with db.reading(world.sessions) as reader:
        views = await reader.scalar(text("SELECT count(*) FROM tasks WHERE is_view"))
    assert views > 4 * images
    tells_nothing(seen.observed(seen.leased))


@pytest.mark.long
@pytest.mark.parametrize(
    ("images", "earners", "each", "limit"),
    [
        pytest.param(12, 120, 350, LIMIT + 0.05, id="hundreds"),
        pytest.param(165, 1_620, 5_000, LIMIT, id="thousands"),
    ],
)
async def test_no_classifier_tells_gold_leases_from_others(
    telling: Telling, images: int, earners: int, each: int, limit: float
) -> None:
    """All that there is to observe, how long everything took, and what each answer was told.

    Of hundreds chance alone may come to more than the limit; thousands take half an hour.
    """
    async with telling(timedelta(days=1)) as world:
        seen = await watched(world, images=images, earners=earners, singly=True)
    together: dict[str, Seen] = {
        id_: {**seen.leased[id_], **seen.answered[id_]} for id_ in seen.leased
    }
    observed = seen.observed(together)
    assert min(observed.gold.sum(), (~observed.gold).sum()) >= each
    assert not observed.told()
    for learned in (observed.ridge(), observed.boosted()):
        assert learned <= limit
