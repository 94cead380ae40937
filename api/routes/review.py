"""What reviewers see and decide, and how far they agree."""

from datetime import datetime
from math import isfinite
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import model_validator

from api import problems
from api.deps import After, Caller, Limit, Read, Settings, Store, Write
from api.idempotency import Route
from api.routes.quality import TaskOut, TileOut, shown
from api.schemas import In, Out, PageOut
from tessera.assignment.models import Outcome, Task, Verdict
from tessera.images.models import Tile
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound
from tessera.kinds import InvalidAnswer
from tessera.projects.errors import WrongState
from tessera.quality import review, reviewers, second, side_by_side
from tessera.quality.errors import NoPlacesLeft, NotInReview, NotSettled, NotWanted, SameReviewer
from tessera.quality.review import Place
from tessera.quality.review_models import Review, ReviewPurpose, Second

router = APIRouter(tags=["review"], route_class=Route)


class Opinion(In):
    label: dict[str, Any] | None = None
    """The right answer, in the form of answers."""
    unusable: bool = False
    """The tile cannot be labelled; its image stays out of datasets."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "Opinion":
        if (self.label is None) is not self.unusable:
            raise ValueError("give either a label or `unusable`")
        return self


class Decision(Opinion):
    gold: bool = False
    """Ask it of others from now on, as gold; if that cannot be, nothing is decided."""

    @model_validator(mode="after")
    def _known(self) -> "Decision":
        if self.gold and self.unusable:
            raise ValueError("what cannot be labelled cannot be gold")
        return self


class WaitingOut(TaskOut):
    value: float
    """What it may cost as it is: how probably the best guess is wrong, times the importance of the
    class that counts most in it. Whoever has the highest is first."""


class TrustOut(Out):
    value: float
    """Mean of what is known of them, 0 to 1."""
    gold_answers: int
    """That this is known from."""


class SaidOut(Out):
    lease_id: UUID
    earner_id: UUID
    outcome: Outcome
    value: dict[str, Any] | None
    answered_at: datetime
    seconds: float
    verdict: Verdict
    trust: TrustOut
    likeness: float | None
    """To the best guess, the `label` of the task, 0 to 1."""
    group: int | None
    """Index into `groups`; null where no answer was given."""


class GroupOut(Out):
    value: dict[str, Any]
    """What the most trusted of those says who say about the same."""
    answers: int
    weight: float
    """Their part of all trust, 0 to 1."""


class SideBySideOut(TaskOut):
    tile: TileOut
    answers: list[SaidOut]
    """The most trusted first."""
    groups: list[GroupOut]
    """The heaviest first."""
    agreement: float | None
    """How alike the answers are to that of the heaviest group, in the mean."""


class BlindOut(Out):
    """What earners were asked, and nothing of what anybody said."""

    task_id: UUID
    subject: dict[str, Any] | None
    tile: TileOut


class NextOut(Out):
    task: BlindOut | None
    """Null: none is left for this reviewer."""


class ReviewOut(Out):
    id: UUID
    task_id: UUID
    reviewer_id: UUID
    purpose: ReviewPurpose
    label: dict[str, Any] | None
    """Null: the tile cannot be labelled."""
    compared: dict[str, Any] | None
    """What people's answers came to, or what the first reviewer had said."""
    score: float | None
    """How alike the two are, 0 to 1; null where there was nothing to compare with."""
    quality: dict[str, Any]
    """The project's policy then."""
    second: Second
    created_at: datetime


class PairsOut(Out):
    tasks: int
    alike: int
    mean_score: float | None
    alpha: float | None
    """Krippendorff's, where one of several is chosen; null where that says nothing."""


class ReviewerOut(Out):
    person_id: UUID
    decided: int
    as_answers: float | None
    seconds: int
    as_others: float | None
    audited: int


class ReviewersOut(Out):
    pairs: PairsOut
    """Tasks that a second reviewer has looked at without knowing what the first one had said."""
    reviewers: list[ReviewerOut]


async def blind(
    session: Read, task: Task, subject: dict[str, Any] | None, settings: Settings, store: Store
) -> BlindOut:
    tile = await session.get_one(Tile, task.tile_id)
    return BlindOut(task_id=task.id, subject=subject, tile=shown(tile, settings, store))


def _read(text: str) -> tuple[UUID, float]:
    task_id, _, value = text.partition("/")
    minus_value = float(value)
    if not isfinite(minus_value):
        raise ValueError("no number")
    return UUID(task_id), minus_value


async def _place(
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next` of the last page")
    ] = None,
) -> Place | None:
    after = paging.decode(cursor, _read)
    return None if after is None else Place(after[1][1], after[0], after[1][0])


@router.get("/projects/{project_id}/review", responses=problems.documented(NotFound, Forbidden))
async def list_review(
    project_id: UUID,
    session: Read,
    caller: Caller,
    after: Annotated[Place | None, Depends(_place)],
    limit: Limit = 50,
) -> PageOut[WaitingOut]:
    """Tasks that people could not agree on: what may cost most comes first, then the oldest."""
    found = await review.waiting(session, project_id, caller=caller, after=after, limit=limit)
    last = found[-1].place if len(found) == limit else None
    return PageOut(
        items=[
            WaitingOut(**TaskOut.model_validate(each.task).model_dump(), value=-each.minus_value)
            for each in found
        ],
        next=last and paging.encode((last.opened_at, f"{last.task_id}/{last.minus_value!r}")),
    )


@router.get("/tasks/{task_id}/review", responses=problems.documented(NotFound, Forbidden))
async def get_side_by_side(
    task_id: UUID, session: Read, caller: Caller, settings: Settings, store: Store
) -> SideBySideOut:
    """All that it takes to decide a task: what was said, by how trusted people, and who agree."""
    found = await side_by_side.side_by_side(session, task_id, caller=caller)
    tile = await session.get_one(Tile, found.task.tile_id)
    return SideBySideOut(
        **TaskOut.model_validate(found.task).model_dump(),
        tile=shown(tile, settings, store),
        answers=[_said(each) for each in found.said],
        groups=[GroupOut.model_validate(each) for each in found.groups],
        agreement=found.agreement,
    )


def _said(said: side_by_side.Said) -> SaidOut:
    answer = said.answer
    return SaidOut(
        lease_id=answer.lease_id,
        earner_id=answer.earner_id,
        outcome=answer.outcome,
        value=answer.value,
        answered_at=answer.answered_at,
        seconds=answer.seconds,
        verdict=answer.verdict,
        trust=TrustOut.model_validate(said.trust),
        likeness=said.likeness,
        group=said.group,
    )


@router.post(
    "/tasks/{task_id}/review",
    response_model=TaskOut,
    responses=problems.documented(
        NotFound,
        Forbidden,
        NotInReview,
        InvalidAnswer,
        SameReviewer,
        NotSettled,
        NoPlacesLeft,
        WrongState,
    ),
)
async def decide(task_id: UUID, body: Decision, session: Write, caller: Caller) -> Task:
    """Decide a task in review, or one that two reviewers see differently."""
    return await review.decide(session, task_id, label=body.label, gold=body.gold, caller=caller)


@router.get(
    "/projects/{project_id}/second-opinions/next",
    responses=problems.documented(NotFound, Forbidden),
)
async def next_second_opinion(
    project_id: UUID, session: Read, caller: Caller, settings: Settings, store: Store
) -> NextOut:
    """A task that another reviewer has decided; what they said is not told."""
    task = await second.next_wanted(session, project_id, caller=caller)
    if task is None:
        return NextOut(task=None)
    return NextOut(task=await blind(session, task, task.subject, settings, store))


@router.post(
    "/projects/{project_id}/second-opinions/tasks/{task_id}",
    response_model=ReviewOut,
    responses=problems.documented(NotFound, Forbidden, NotWanted, SameReviewer, InvalidAnswer),
)
async def give_second_opinion(
    project_id: UUID, task_id: UUID, body: Opinion, session: Write, caller: Caller
) -> Review:
    """Say what you would have decided; nothing changes, but both are told apart if they differ."""
    return await second.say(session, project_id, task_id, label=body.label, caller=caller)


@router.get("/projects/{project_id}/reviews", responses=problems.documented(NotFound, Forbidden))
async def list_reviews(
    project_id: UUID,
    session: Read,
    caller: Caller,
    after: After,
    limit: Limit = 50,
    second_opinion: Second | None = None,
) -> PageOut[ReviewOut]:
    """What reviewers said, newest first: `second_opinion=differs` is what a third may decide."""
    found = await second.listed(
        session, project_id, second=second_opinion, caller=caller, after=after, limit=limit
    )
    return PageOut(
        items=[ReviewOut.model_validate(each) for each in found], next=paging.cursor(found, limit)
    )


@router.get("/projects/{project_id}/reviewers", responses=problems.documented(NotFound, Forbidden))
async def get_reviewers(project_id: UUID, session: Read, caller: Caller) -> ReviewersOut:
    """How far reviewers agree, with one another and with people's answers."""
    return ReviewersOut.model_validate(await reviewers.told(session, project_id, caller=caller))
