"""People who share what they know: how much of the gold is worth knowing.

The worst case for a farm of k accounts: somebody tells them which pictures were gold as soon as one
of them has answered, and all of them keep the SHA-256 of those, and a difference hash, which knows
a picture again that was scaled or compressed anew. Everybody takes whatever gold there is. Told is
the part of their gold whose picture is in the list when they get it:

                                              k = 4
    gold keeps its picture                    3 of 4
    a picture is for two people               2 of 4
    a picture is for one                      0
"""

import io
from dataclasses import dataclass, field

import pytest
from PIL import Image

from tests.quality.shown import ALIKE, Fingerprint, Gallery, Met, apart, gallery
from tests.world import World, photograph

ACCOUNTS = 4
MIDDLE = {"objects": [{"class": 1, "box": [44, 44, 84, 84]}]}


@dataclass
class Ring:
    """What colluding people have told each other, and how often it helped."""

    known: list[Fingerprint] = field(default_factory=list)
    gold: int = 0
    recognised: int = 0
    mistaken: int = 0
    """Ordinary pictures that they took for gold."""

    def knows(self, seen: Fingerprint) -> bool:
        return any(
            seen.sha256 == each.sha256 or apart(seen.hash, each.hash) <= ALIKE
            for each in self.known
        )

    def share(self, met: list[Met]) -> None:
        for each in met:
            known = self.knows(each.seen)
            self.gold += each.is_gold
            self.recognised += each.is_gold and known
            self.mistaken += known and not each.is_gold
        self.known += [each.seen for each in met if each.is_gold]


async def collude(here: Gallery) -> Ring:
    ring = Ring()
    for _ in range(ACCOUNTS):
        account = await here.world.earner()
        ring.share(await here.work(account, lambda _: MIDDLE))
        await here.rotate()
    return ring


@pytest.mark.usefixtures("gold_first")
@pytest.mark.parametrize(
    ("exposure", "recognised"),
    [
        pytest.param(10**6, ACCOUNTS - 1, marks=pytest.mark.long),
        pytest.param(2, ACCOUNTS // 2, marks=pytest.mark.long),
        (1, 0),
    ],
)
async def test_a_ring_recognises_no_more_gold_than_one_picture_is_shown_to(
    world: World, exposure: int, recognised: int
) -> None:
    here = await gallery(world, side=256, gold_exposure=exposure, may_flip=True)
    ring = await collude(here)
    assert ring.gold >= 3 * ACCOUNTS
    assert ring.recognised / ring.gold == pytest.approx(recognised / ACCOUNTS, abs=0.1)
    assert ring.mistaken == 0


def test_the_hash_that_they_use_knows_a_picture_that_was_made_anew() -> None:
    picture = photograph(128, 128, seed=1)
    out = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as opened:
        opened.resize((100, 100)).save(out, "JPEG", quality=40)
    one, other = Fingerprint.of(picture), Fingerprint.of(out.getvalue())
    assert one.sha256 != other.sha256
    assert apart(one.hash, other.hash) <= ALIKE
