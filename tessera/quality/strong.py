"""Who is strong in what, by gold and by the estimates: for `assignment`, which asks them first."""

from uuid import UUID

import numpy as np
from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Standing
from tessera.kernel import db
from tessera.projects.models import Project
from tessera.quality.belief import Belief, belief_of
from tessera.quality.models import TrustRecord
from tessera.quality.trust import ENOUGH_GOLD
from tessera.truth.strengths import CERTAIN, EVERYTHING, STRONG


def strengths_of(record: TrustRecord, belief: Belief | None) -> list[int]:
    """See `Standing.strengths`."""
    told: list[int] = []
    if belief is not None and (counts := belief.fitting(record.counts)):
        told = belief.strengths(np.array([counts]))[0]
    if record.seen >= ENOUGH_GOLD and record.trust.probability_below(STRONG) <= 1 - CERTAIN:
        told = [EVERYTHING, *told]
    return sorted({*told})


async def note(
    session: AsyncSession, project_id: UUID, *, after: UUID | None, limit: int
) -> UUID | None:
    """Write down what earners are strong in, by the last estimate; some at a time.

    Returns:
        The last of them, after whom to go on; none if there are no more.
    """
    some = select(TrustRecord).where(TrustRecord.project_id == project_id)
    if after is not None:
        some = some.where(TrustRecord.earner_id > after)
    ordered = some.order_by(TrustRecord.earner_id).limit(limit)
    records = (await session.scalars(db.locking(ordered))).all()
    if not records:
        return None
    belief = await belief_of(session, await session.get_one(Project, project_id))
    told = [{"earner": each.earner_id, "told": strengths_of(each, belief)} for each in records]
    connection = await session.connection()
    await connection.execute(
        update(Standing)
        .where(Standing.project_id == project_id, Standing.earner_id == bindparam("earner"))
        .where(Standing.strengths != bindparam("told"))
        .values(strengths=bindparam("told")),
        told,
    )
    return records[-1].earner_id if len(records) == limit else None
