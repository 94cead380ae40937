"""Estimating a project anew from all of its answers: who confuses what, and how sure one may be.

It corrects what is known online, one answer at a time. It decides nothing itself, pays nobody and
takes nothing back: tasks that look otherwise now are judged again (`reconsider`), one by one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer
from tessera.kinds import KINDS, Objects, parsed
from tessera.kinds.choice import Choice, choice_of
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality.answered import Answered, Asked
from tessera.quality.models import EstimateRecord, TrustRecord
from tessera.quality.trust import NEWCOMER
from tessera.truth.calibration import Calibration, calibrate
from tessera.truth.confusion import GROWTH, Estimate, believe, estimate
from tessera.truth.panels import panels_of
from tessera.truth.votes import UNKNOWN, Floats, Indices

DRAWN = tuple(name for name, kind in KINDS.items() if isinstance(kind, Objects))
"""Kinds of whose answers `estimating_drawings` learns."""
LEAST_ANSWERS = 100
"""Before that, an earner's trust says more."""
DOUBT = 2.0
"""So many times the risk that the policy takes, and a settled task is asked about again."""
NOTABLE = 0.05
"""A change of confidence that is written down."""


@dataclass(frozen=True)
class Estimated:
    answered: Answered
    estimate: Estimate
    calibration: Calibration

    @property
    def sure(self) -> Floats:
        """Shape (n_items,), if people erred independently."""
        return self.estimate.sure

    @property
    def probable(self) -> Floats:
        """Shape (n_items, K)."""
        return self.calibration.apply(self.estimate.log_posterior)


async def due(session: AsyncSession) -> Sequence[UUID]:
    """Open projects in which enough was answered since the last estimate; or all is settled."""
    return (await session.scalars(_DUE)).all()


_DUE = text(
    f"""
    SELECT projects.id FROM projects LEFT JOIN estimates ON estimates.project_id = projects.id,
    LATERAL (SELECT count(*) FROM answers WHERE answers.project_id = projects.id) AS answered (now)
    WHERE projects.state = 'open'
      AND now >= {LEAST_ANSWERS} AND now > coalesce(estimates.answers, 0) AND (
        now >= {GROWTH} * coalesce(estimates.answers, 0)
        OR NOT EXISTS (SELECT FROM tasks WHERE tasks.project_id = projects.id
                       AND tasks.state = 'open' AND NOT tasks.is_gold)
      )
    """  # noqa: S608 - made of constants
)


async def counted(session: AsyncSession, project: Project) -> int | None:
    """How many answers there are, if an estimate of so many was not made yet."""
    count = await session.scalar(select(func.count()).where(Answer.project_id == project.id))
    last = await session.get(EstimateRecord, project.id)
    return count if count and (last is None or last.answers < count) else None


def choices_of(project: Project) -> tuple[Choice, Sequence[int]] | None:
    """What a project asks to choose of; None where it does not."""
    schema = parsed(project.label_schema)
    choice = choice_of(project.kind, schema)
    choices = None if choice is None else choice.choices(schema)
    return None if choice is None or choices is None else (choice, choices)


async def estimated(found: Answered) -> Estimated:
    """In a thread: it takes seconds for millions of answers."""
    return await asyncio.to_thread(_estimated, found)


def _estimated(found: Answered) -> Estimated:
    anew = estimate(found.votes, known=found.gold)
    panels, truth = panels_of(found.votes, found.gold)
    told = believe(panels, anew.crowd, known=truth)
    return Estimated(found, anew, calibrate(told, truth))


async def keep_earners(
    session: AsyncSession,
    project_id: UUID,
    rows: Sequence[tuple[UUID, list[float]]],
    *,
    column: str = "counts",
) -> None:
    """Note what some earners confuse; by earner, ascending: locks are taken so.

    Args:
        column: Of `TrustRecord`.
    """
    unknown = {"alpha": NEWCOMER.alpha, "beta": NEWCOMER.beta, "seen": 0, "missed": 0}
    await session.execute(
        insert(TrustRecord).on_conflict_do_nothing(),
        [{"project_id": project_id, "earner_id": earner_id, **unknown} for earner_id, _ in rows],
    )
    connection = await session.connection()
    await connection.execute(
        update(TrustRecord)
        .where(TrustRecord.project_id == project_id, TrustRecord.earner_id == bindparam("earner"))
        .values({column: bindparam("said")}),
        [{"earner": earner_id, "said": counts} for earner_id, counts in rows],
    )


def counts_of(found: Estimated) -> list[tuple[UUID, list[float]]]:
    """By earner, ascending; see `TrustRecord.counts`."""
    crowd = found.estimate.crowd
    if crowd.counts is None:
        rows = np.stack([crowd.right, crowd.seen], axis=1)
    else:
        rows = crowd.counts.reshape(len(crowd.counts), -1)
    return sorted(zip(found.answered.earner_ids(), rows.round(4).tolist(), strict=True))


async def keep(session: AsyncSession, project: Project, found: Estimated, *, answers: int) -> None:
    """Note what is known of the crowd as a whole, from now on.

    Args:
        answers: What was due.
    """
    asks = choices_of(project)
    crowd, calibration = found.estimate.crowd, found.calibration
    common = crowd.common[0, :1] if crowd.counts is None else crowd.common.ravel()
    values = {
        "choices": [] if asks is None else list(asks[1]),
        "answers": answers,
        "prior": crowd.prior.tolist(),
        "common": common.tolist(),
        "temperature": calibration.temperature,
        "bias": calibration.bias.tolist(),
        "known": calibration.known,
    }
    await _keep(session, project.id, values)


async def keep_count(session: AsyncSession, project_id: UUID, *, answers: int) -> None:
    """Note of how many answers something was learnt, where nothing is known of all together."""
    nothing: dict[str, Any] = {"choices": [], "prior": [], "common": [], "bias": []}
    values = nothing | {"temperature": 1.0, "known": 0, "answers": answers}
    await _keep(session, project_id, values)


async def _keep(session: AsyncSession, project_id: UUID, values: Mapping[str, Any]) -> None:
    now = {**values, "estimated_at": func.now()}
    await session.execute(
        insert(EstimateRecord)
        .values(project_id=project_id, **now)
        .on_conflict_do_update(index_elements=["project_id"], set_=now)
    )


def doubtful(found: Estimated, asked: Asked, project: Project, *, settled_too: bool) -> Indices:
    """Items to be judged again: those that are sure by now, and settled ones that look otherwise.

    Shape (D,), of the answers' items.

    Args:
        settled_too: Else only those that are still asked about, or in review.
    """
    here = np.flatnonzero(asked.number != UNKNOWN)
    item = asked.number[here]
    sure, probable = found.sure[item], found.probable[item]
    best = probable.argmax(axis=1)
    is_settled = asked.is_settled[here]
    policy = Quality(**project.quality)
    target = policy.target(project.price_micro + project.fee_micro)
    enough = found.answered.votes.per_item[item] >= policy.min_overlap
    by_now = ~is_settled & (sure >= target)
    other = best != asked.label[here]
    unsure = 1 - sure > DOUBT * (1 - target)
    moved = np.abs(probable.max(axis=1) - asked.confidence[here]) > NOTABLE
    again = is_settled & (other | unsure | moved) & settled_too
    found_again: Indices = item[enough & (by_now | again)]
    return found_again
