from collections import Counter
from random import Random
from typing import Any
from uuid import uuid4

import orjson
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Lease, Outcome
from tessera.datasets.manifest import canonical, manifest_file
from tessera.datasets.tally import Tally
from tessera.earnings.models import Earning, EarningState
from tessera.formats.records import LabelledImage, LabelledTile
from tessera.kernel import db
from tessera.storage.context import JobContext
from tests.datasets.reading import built
from tests.datasets.world import LONG_AFTER, MIXED, THEN, World, a_world

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=5), st.randoms())
def test_equal_manifests_are_equal_bytes_whatever_the_order_of_their_keys(
    data: dict[str, object], random: Random
) -> None:
    shuffled = list(data.items())
    random.shuffle(shuffled)
    assert canonical(dict(shuffled)) == canonical(data)
    assert orjson.loads(canonical(data)) == data
    assert manifest_file(data).bytes == len(canonical(data))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200))
def test_the_mean_and_quantiles_of_confidence_are_those_of_the_tiles(parts: list[int]) -> None:
    tally = Tally()
    tiles = [LabelledTile(0, [], [], "consensus", part / 10_000, []) for part in parts]
    tally.add(LabelledImage(1, "", "", 1, 1, "", [], tiles))
    confidence = tally.confidence()
    assert confidence is not None
    assert abs(confidence["mean"] - sum(parts) / len(parts) / 10_000) <= 0.5e-4 + 1e-12
    for percent, value in confidence["quantiles"].items():
        at_most = sum(part / 10_000 <= value for part in parts)
        below = sum(part / 10_000 < value for part in parts)
        assert below * 100 < int(percent) * len(parts) <= at_most * 100


def test_gold_does_not_raise_the_confidence_as_it_was_known_before() -> None:
    tally = Tally(confidences=Counter({9_000: 1}))
    tally.add(LabelledImage(1, "", "", 1, 1, "", [], [LabelledTile(0, [], [], "gold", 1, [])]))
    assert tally.confidence() == {"mean": 0.9, "quantiles": {"5": 0.9, "25": 0.9, "50": 0.9}}
    assert Tally().confidence() is None


PAID: dict[str, Any] = {"state": EarningState.APPROVED, "decided_at": THEN}
LATE: dict[str, Any] = {"state": EarningState.APPROVED, "decided_at": LONG_AFTER.replace(year=2027)}
NOT_YET: dict[str, Any] = {"state": EarningState.PENDING, "decided_at": None}
REFUSED: dict[str, Any] = {
    "state": EarningState.REJECTED,
    "decided_at": THEN,
    "reason": "Every box is wrong.",
}


async def an_answer(
    session: AsyncSession,
    world: World,
    place: int,
    *,
    earning: dict[str, Any],
    score: float | None = 0.0,
    agreement: float = 0.0,
) -> None:
    given = {"project_id": world.project_id, "task_id": world.run_id, "earner_id": uuid4()}
    lease_id = uuid4()
    session.add(Lease(**given, id=lease_id, lane=1, place=place, expires_at=THEN))
    await session.flush()
    session.add(
        Answer(
            **given,
            lease_id=lease_id,
            outcome=Outcome.ANSWERED,
            seconds=3.0,
            score=score,
            agreement=agreement,
        )
    )
    money = {"currency": "EUR", "amount_micro": 40_000, "fee_micro": 8_000}
    session.add(Earning(**given, lease_id=lease_id, **money, **earning))


async def test_the_manifest_says_what_was_paid_for_and_how_good_it_was(context: JobContext) -> None:
    world = await a_world(context.sessions, MIXED)
    async with db.transaction(context.sessions) as session:
        await an_answer(session, world, 1, earning=PAID, score=0.75, agreement=1.0)
        await an_answer(session, world, 2, earning=PAID, score=1.0, agreement=0.5)
        await an_answer(session, world, 3, earning=PAID, score=None, agreement=0.8)
        for place, earning in enumerate((LATE, NOT_YET, REFUSED), start=4):
            await an_answer(session, world, place, earning=earning)
    manifest = (await built(context, world)).manifest
    assert manifest["answers"] == 3
    assert manifest["cost_micro"] == 3 * 48_000
    assert manifest["currency"] == "EUR"
    assert manifest["gold"] == {"answers": 2, "mean_score": 0.875}
    assert manifest["agreement"] == 0.7667
    # three of consensus (0.8, 0.9, 0.9) and one that a reviewer was sure of
    assert manifest["confidence"]["mean"] == 0.9
    assert manifest["confidence"]["quantiles"]["5"] == 0.8
