"""What another quality policy would have made of the answers that a project has got so far."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Answer, Standing
from tessera.kernel.errors import Unavailable
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality import answered, estimating
from tessera.quality.errors import NothingToReplay, TooMuch
from tessera.quality.replay import Policy, Replayed, replay
from tessera.truth.confusion import estimate
from tessera.truth.stopping import Stopping
from tessera.truth.votes import UNKNOWN, Indices

MOST_ANSWERS = 1_000_000
"""Of one dry run; they take some seconds."""

# each holds a snapshot of the database and a core meanwhile
_seats = asyncio.Semaphore(1)


@dataclass(frozen=True)
class DryRun:
    answers: int
    """That count so far."""
    asked: int
    """That the policy would have asked for, of those."""
    unsure: int
    """Tasks for which it would have asked for more than there are."""
    stopped: list[UUID]
    stopped_now: int
    """Earners who are stopped in the project as it is."""
    settled_otherwise: int
    """Tasks that would have got another label than all answers together come to."""
    estimated_accuracy: float | None
    """Of the labels; None if all is gold."""
    answer_micro: int
    """What one answer costs, with the fee."""

    @property
    def cost_micro(self) -> int:
        """Of the answers asked for."""
        return self.asked * self.answer_micro

    @property
    def difference_micro(self) -> int:
        """To what the answers that count cost: below zero, the policy saves that."""
        return (self.asked - self.answers) * self.answer_micro


async def run(
    session: AsyncSession, project_id: UUID, *, changes: Mapping[str, Any], caller: Caller
) -> DryRun:
    """Replay all answers, gold and all, under a changed quality policy; nothing is kept.

    Raises:
        InvalidPolicy: It would contradict itself.
        NothingToReplay: The project does not ask for one choice, or nobody has answered.
        TooMuch: There are too many answers.
        Unavailable: Another dry run is under way.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE)
    policy = Quality(**projects.changed(project, "quality", changes).model_dump())
    asks = estimating.choices_of(project)
    if asks is None:
        raise NothingToReplay("Only where people choose one of several can answers be replayed.")
    if _seats.locked():
        raise Unavailable("Another dry run is under way; try again soon.")
    async with _seats:
        count = await session.scalar(select(func.count()).where(Answer.project_id == project.id))
        if (count or 0) > MOST_ANSWERS:
            raise TooMuch(f"A dry run takes at most {MOST_ANSWERS:,} answers.")
        found = await answered.answered(session, project, *asks, everything=True)
        if not len(found.votes):
            raise NothingToReplay("Nobody has answered anything yet.")
        replayed, everything = await asyncio.to_thread(_replayed, found, project, policy)
    blocked = await session.scalar(
        select(func.count()).where(
            Standing.project_id == project.id, Standing.blocked_at.is_not(None)
        )
    )
    return _told(found, replayed, everything, project, blocked or 0)


def _replayed(
    found: answered.Answered, project: Project, policy: Quality
) -> tuple[Replayed, Indices]:
    """Under the policy; and the labels that all answers come to, whoever gave them."""
    price = project.price_micro + project.fee_micro
    stopping = Stopping(policy.min_overlap, policy.max_overlap, policy.target(price))
    # who accepts everything is right half of the time: there the minimum stays as it is
    under = Policy(stopping, policy.minimum_trust, is_lowered=project.kind != "verify")
    replayed = replay(found.votes, gold=found.gold, policy=under, of_everybody=True)
    everything = estimate(found.votes.only(found.votes.first_each()), known=found.gold)
    return replayed, everything.labels


def _told(
    found: answered.Answered,
    replayed: Replayed,
    everything: Indices,
    project: Project,
    blocked: int,
) -> DryRun:
    ordinary = found.gold == UNKNOWN
    earners = found.earner_ids()
    return DryRun(
        answers=len(found.votes),
        asked=int(replayed.asked.sum()),
        unsure=int((replayed.wanting & ordinary).sum()),
        stopped=sorted(earners[number] for number in replayed.stopped),
        stopped_now=blocked,
        settled_otherwise=int((replayed.estimate.labels != everything)[ordinary].sum()),
        estimated_accuracy=round(float(np.mean(replayed.confidence[ordinary])), 4)
        if ordinary.any()
        else None,
        answer_micro=project.price_micro + project.fee_micro,
    )
