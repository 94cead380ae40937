"""Training: what operators mark for it, and the way of those who train.

What trains people is told to them, so nothing here looks like work, or like gold.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import StringConstraints

from api import problems
from api.deps import Caller, EarnerId, Limit, Read, Settings, Store, Write
from api.idempotency import NEVER_STORED, Route
from api.limits import RateLimited
from api.requests import LARGE_BODY
from api.routes.work import LeaseOut, NewAnswer, PictureOut
from api.schemas import In, Out
from tessera.assignment import training as trainings
from tessera.assignment import training_answers as answers
from tessera.assignment.answer import Given
from tessera.assignment.errors import (
    AlreadyAnswered,
    Blocked,
    LeaseNotFound,
    LeaseSuperseded,
    TrainingClosed,
    TrainingNotNeeded,
    TrainingOver,
    TrainingWaits,
)
from tessera.assignment.leased import Leased
from tessera.assignment.training import State, View
from tessera.assignment.training_answers import Asked, Feedback
from tessera.assignment.training_models import TrainingTask
from tessera.kernel.errors import Forbidden, NotFound
from tessera.kinds import InvalidAnswer
from tessera.projects.errors import WrongState
from tessera.quality import training as marking
from tessera.quality.errors import NotKnown

router = APIRouter(tags=["training"], route_class=Route)

_EARNERS = "/work/training/{project_id}"


class NewTraining(In):
    hint: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
    """What to look at; earners read it once they have answered. Plain text."""


class TrainingTaskOut(Out):
    task_id: UUID
    hint: str
    known_answer: dict[str, Any]
    created_at: datetime


class TrainingTasksOut(Out):
    items: list[TrainingTaskOut]
    next: UUID | None
    places: int | None
    """People who can pass, as the launch has paid for; before it, none."""
    trainees: dict[str, int]
    """By state."""


class TrainingOut(Out):
    project_id: UUID
    state: State
    reason: str | None
    """Why it is closed."""
    retry_after_seconds: int | None
    """When to come back, if it is closed or you have to wait."""
    questions: int
    """Of one attempt."""
    right_needed: int
    price_micro: int
    """For each question, if the attempt is passed; of one that is failed nothing is paid."""
    pays_micro: int
    """For an attempt that is passed."""
    currency: str
    attempt: int
    """Yours so far; the fields below are about the last one."""
    answered: int
    right: int
    ends_at: datetime | None


class FeedbackOut(Out):
    right: bool
    closeness: float
    """From 0 to 1."""
    hint: str
    known_answer: dict[str, Any]


class QuestionOut(LeaseOut):
    feedback: FeedbackOut | None
    """Once it is answered."""


class AttemptOut(Out):
    training: TrainingOut
    questions: list[QuestionOut]


class AnsweredOut(Out):
    lease_id: UUID
    replayed: bool
    """The same answer had arrived before; it counts once."""
    feedback: FeedbackOut
    training: TrainingOut
    """As it stands now: after the last answer passed, or waiting for another attempt."""


@router.put(
    "/tasks/{task_id}/training",
    response_model=TrainingTaskOut,
    responses=problems.documented(NotFound, Forbidden, NotKnown, WrongState),
)
async def mark(task_id: UUID, body: NewTraining, session: Write, caller: Caller) -> TrainingTask:
    """Train people by a task whose answer is known, and which is no gold any more.

    Before the launch: that fixes what trains people, and reserves what they are paid.
    """
    return await marking.mark(session, task_id, hint=body.hint, caller=caller)


@router.delete(
    "/tasks/{task_id}/training",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def unmark(task_id: UUID, session: Write, caller: Caller) -> None:
    """Make gold of it again."""
    await marking.unmark(session, task_id, caller=caller)


@router.get("/projects/{project_id}/training", responses=problems.documented(NotFound, Forbidden))
async def list_marked(
    project_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    cursor: Annotated[UUID | None, Query()] = None,
) -> TrainingTasksOut:
    """What trains people in a project, and how many it has trained."""
    found = await marking.list_owned(session, project_id, caller=caller, after=cursor, limit=limit)
    return TrainingTasksOut(
        items=[TrainingTaskOut.model_validate(each) for each in found.tasks],
        next=found.tasks[-1].task_id if len(found.tasks) == limit else None,
        places=found.places,
        trainees=found.trainees,
    )


@router.get(_EARNERS, tags=["work"], responses=problems.documented(NotFound))
async def look(project_id: UUID, session: Read, earner_id: EarnerId) -> TrainingOut:
    """What a project's training takes and pays, and how far you are."""
    return _training(await trainings.look(session, project_id, earner_id=earner_id))


@router.post(
    f"{_EARNERS}/attempts",
    tags=["work"],
    responses=problems.documented(
        NotFound, TrainingClosed, TrainingWaits, TrainingNotNeeded, Blocked, RateLimited
    ),
    openapi_extra={NEVER_STORED: True},
)
async def begin(
    project_id: UUID, session: Write, earner_id: EarnerId, settings: Settings, store: Store
) -> AttemptOut:
    """Begin an attempt, or go on with the one that runs, however often this is sent."""
    view = await trainings.begin(session, project_id, earner_id=earner_id)
    asked = await answers.questions(session, view)
    return AttemptOut(
        training=_training(view),
        questions=[_question(each, settings, store) for each in asked],
    )


@router.post(
    f"{_EARNERS}/answers",
    tags=["work"],
    responses=problems.documented(
        NotFound,
        LeaseNotFound,
        LeaseSuperseded,
        InvalidAnswer,
        AlreadyAnswered,
        TrainingOver,
        RateLimited,
    ),
    openapi_extra={LARGE_BODY: True},
)
async def answer(
    project_id: UUID, body: NewAnswer, session: Write, earner_id: EarnerId
) -> AnsweredOut:
    """Answer one question of the attempt that runs, and learn at once what is right.

    Each answer counts once, however often it is sent. The last one ends the attempt.
    """
    given = Given(body.lease_id, body.fence, body.outcome, body.answer, body.seconds)
    told = await answers.answer(session, project_id, earner_id=earner_id, given=given)
    view = await trainings.look(session, project_id, earner_id=earner_id)
    return AnsweredOut(
        lease_id=told.lease_id,
        replayed=told.replayed,
        feedback=_feedback(told),
        training=_training(view),
    )


def _training(view: View) -> TrainingOut:
    project, trainee, training = view.project, view.trainee, view.training
    questions = training.questions if training else 0
    return TrainingOut(
        project_id=project.id,
        state=view.state,
        reason=view.reason,
        retry_after_seconds=view.retry_after_seconds,
        questions=questions,
        right_needed=training.right_needed if training else 0,
        price_micro=project.price_micro,
        pays_micro=questions * project.price_micro,
        currency=project.currency,
        attempt=trainee.attempt if trainee else 0,
        answered=view.answered,
        right=view.right,
        ends_at=trainee.ends_at if trainee else None,
    )


def _question(asked: Asked, settings: Settings, store: Store) -> QuestionOut:
    return QuestionOut(
        **_lease(asked.leased, settings, store),
        feedback=asked.feedback and _feedback(asked.feedback),
    )


def _lease(leased: Leased, settings: Settings, store: Store) -> dict[str, Any]:
    url = store.presign_get(
        leased.key, content_type=leased.content_type, expires=settings.tile_link_lifetime
    )
    picture = PictureOut(
        url=url, content_type=leased.content_type, width=leased.width, height=leased.height
    )
    names = ("fence", "project_id", "kind", "subject", "price_micro", "currency", "expires_at")
    same = {name: getattr(leased, name) for name in names}
    return {"lease_id": leased.id, "picture": picture, **same}


def _feedback(told: Feedback) -> FeedbackOut:
    return FeedbackOut(
        right=told.right, closeness=told.score, hint=told.hint, known_answer=told.known_answer
    )
