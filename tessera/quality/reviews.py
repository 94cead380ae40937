"""Noting what reviewers say, and how alike it is to what others said."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kinds import Label, Question, kind_of, parsed
from tessera.kinds.choice import choice_of
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality.review_models import Review, ReviewPurpose, Second

RIGHT_FROM, DRAWN_RIGHT_FROM = 0.5, 0.75
"""Likeness from which two labels say the same: of one choice, and of anything else."""
_PARTS = 10_000


def right_from(project: Project) -> float:
    one_of = choice_of(project.kind, parsed(project.label_schema))
    return DRAWN_RIGHT_FROM if one_of is None else RIGHT_FROM


async def likeness(
    project: Project, question: Question, *, said: Label | None, truth: Label | None
) -> float:
    """0 to 1; None stands for a tile that cannot be labelled. In a thread: outlines take time."""
    if said is None or truth is None:
        return float(said is truth)
    return await asyncio.to_thread(kind_of(project.kind).score, said, truth, question)


async def note(  # noqa: PLR0913 - a row
    session: AsyncSession,
    project: Project,
    task_id: UUID,
    *,
    reviewer_id: UUID,
    purpose: ReviewPurpose,
    label: Mapping[str, Any] | None,
    compared: Mapping[str, Any] | None,
    score: float | None,
    first: Review | None = None,
) -> Review:
    """Write down what a reviewer said; of what decides a task, some are asked of another one."""
    review_id = uuid4()
    share = Quality(**project.quality).second_opinions
    drawn = purpose is ReviewPurpose.QUEUE and review_id.int % _PARTS < share * _PARTS
    review = Review(
        project_id=project.id,
        id=review_id,
        task_id=task_id,
        reviewer_id=reviewer_id,
        purpose=purpose,
        label=label,
        compared=compared,
        score=score,
        quality=project.quality,
        second=Second.WANTED if drawn else Second.NONE,
        first_id=None if first is None else first.id,
    )
    session.add(review)
    await session.flush()
    return review
