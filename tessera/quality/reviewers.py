"""How far reviewers agree, with one another and with what people's answers came to."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from tessera.accounts.roles import Caller, Right
from tessera.kinds import parsed
from tessera.kinds.choice import Choice, choice_of
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality import reviews
from tessera.quality.review_models import Review, ReviewPurpose
from tessera.truth.agreement import krippendorff_alpha

MOST_PAIRS = 5_000
"""Tasks that two reviewers have looked at, the last ones."""


@dataclass(frozen=True)
class Pairs:
    """Tasks that a second reviewer has looked at without knowing what the first one had said."""

    tasks: int
    alike: int
    """Of these."""
    mean_score: float | None
    """How alike the two labels are, 0 to 1."""
    alpha: float | None
    """Krippendorff's, where one of several is chosen: what is beyond chance. None where things are
    drawn, or where everybody has always said the same one thing."""


@dataclass(frozen=True)
class Reviewer:
    person_id: UUID
    decided: int
    as_answers: float | None
    """How alike their decisions are to the best guess by people's answers, in the mean. Those
    guesses were in doubt, so it need not be high."""
    seconds: int
    """Second opinions by them, and on what they had decided."""
    as_others: float | None
    """How alike they and the other reviewer were then, in the mean."""
    audited: int


@dataclass(frozen=True)
class Reviewers:
    pairs: Pairs
    reviewers: list[Reviewer]


async def told(session: AsyncSession, project_id: UUID, *, caller: Caller) -> Reviewers:
    """Of a project's reviewers."""
    project = await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    rows = await _last_pairs(session, project)
    return Reviewers(_pairs(project, rows), await _each(session, project, rows))


async def pairs(session: AsyncSession, project: Project) -> Pairs:
    return _pairs(project, await _last_pairs(session, project))


async def _last_pairs(session: AsyncSession, project: Project) -> list[Any]:
    """First and second reviewer and label, and the score: the last ones, newest first."""
    first = aliased(Review)
    rows = await session.execute(
        select(
            first.reviewer_id.label("first_id"),
            Review.reviewer_id.label("second_id"),
            Review.compared,
            Review.label,
            Review.score,
        )
        .join(first, (first.project_id == Review.project_id) & (first.id == Review.first_id))
        .where(Review.project_id == project.id, Review.purpose == ReviewPurpose.SECOND)
        .order_by(Review.created_at.desc(), Review.id)
        .limit(MOST_PAIRS)
    )
    return list(rows)


def _pairs(project: Project, rows: list[Any]) -> Pairs:
    choice = choice_of(project.kind, parsed(project.label_schema))
    scores = [row.score for row in rows]
    alpha = None
    if choice is not None:
        alpha = krippendorff_alpha(
            [(_name(choice, row.compared), _name(choice, row.label)) for row in rows]
        )
    return Pairs(
        len(rows),
        sum(score >= reviews.right_from(project) for score in scores),
        _mean(scores),
        None if alpha is None else round(alpha, 4),
    )


def _name(choice: Choice, label: Any) -> int | None:
    """None: that it cannot be labelled is a thing to say, too."""
    return None if label is None else choice.choice(label)


async def _each(session: AsyncSession, project: Project, rows: list[Any]) -> list[Reviewer]:
    counted = await session.execute(
        select(
            Review.reviewer_id,
            Review.purpose,
            func.count().label("count"),
            func.avg(Review.score).label("score"),
        )
        .where(Review.project_id == project.id)
        .group_by(Review.reviewer_id, Review.purpose)
    )
    by_purpose: dict[UUID, dict[ReviewPurpose, Any]] = defaultdict(dict)
    for row in counted:
        by_purpose[row.reviewer_id][row.purpose] = row
    scores: dict[UUID, list[float]] = defaultdict(list)
    for row in rows:
        for person_id in (row.first_id, row.second_id):
            scores[person_id].append(row.score)
    return [
        _reviewer(person_id, by_purpose[person_id], scores[person_id])
        for person_id in sorted(by_purpose)
    ]


def _reviewer(person_id: UUID, told: dict[ReviewPurpose, Any], scores: list[float]) -> Reviewer:
    def count(purpose: ReviewPurpose) -> int:
        return told[purpose].count if purpose in told else 0

    decided = told.get(ReviewPurpose.QUEUE)
    return Reviewer(
        person_id,
        count(ReviewPurpose.QUEUE) + count(ReviewPurpose.THIRD),
        None if decided is None or decided.score is None else round(decided.score, 4),
        len(scores),
        _mean(scores),
        count(ReviewPurpose.AUDIT),
    )


def _mean(scores: list[float]) -> float | None:
    return round(sum(scores) / len(scores), 4) if scores else None
