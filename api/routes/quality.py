"""Gold and tasks, from the operator's side."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field, model_validator

from api import problems
from api.deps import After, Caller, Limit, Read, Settings, Store, Write
from api.idempotency import Route
from api.requests import LARGE_BODY
from api.schemas import In, Out
from tessera.accounts.roles import Right
from tessera.assignment import tasks
from tessera.assignment.models import Outcome, TaskState, Verdict
from tessera.images.models import Tile
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound, Unavailable
from tessera.kinds import InvalidAnswer
from tessera.projects.errors import InvalidPolicy
from tessera.quality import dry_run, gold, gold_import
from tessera.quality.errors import (
    BadCoco,
    NoPlacesLeft,
    NothingToReplay,
    NotSettled,
    TooMuch,
    TooMuchGold,
    UnknownClass,
    UnknownImage,
)
from tessera.quality.models import Gold, GoldSource

router = APIRouter(tags=["quality"], route_class=Route)


class DryRunOut(Out):
    answers: int
    """That count so far."""
    asked: int
    """That the policy would have asked for, of those."""
    unsure: int
    """Tasks for which it would have asked for more than there are."""
    stopped: list[UUID]
    """Earners who would have been stopped, by gold."""
    stopped_now: int
    """Earners who are stopped in the project as it is."""
    settled_otherwise: int
    """Tasks that would have got another label than all answers together come to."""
    estimated_accuracy: float | None
    """Of the labels; null if all is gold."""
    cost_micro: int
    """Of the answers asked for, with fees."""
    difference_micro: int
    """To what these answers cost: below zero, the policy saves that."""


class KnownImage(In):
    file_name: Annotated[str, Field(min_length=1, max_length=300)]
    objects: Annotated[list[Any], Field(max_length=100_000)]
    """As in an answer of the project's kind, but in image pixels."""


class NewGold(In):
    coco: dict[str, Any] | None = None
    """A COCO file: images by file name, categories by name, boxes in image pixels."""
    images: Annotated[list[KnownImage], Field(min_length=1, max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "NewGold":
        if (self.coco is None) is (self.images is None):
            raise ValueError("give either `coco` or `images`")
        return self

    def source(self) -> gold_import.Coco | gold_import.Listed:
        if self.images is None:
            return gold_import.Coco(self.coco)
        return gold_import.Listed([(each.file_name, each.objects) for each in self.images])


class TakenOut(Out):
    file_name: str
    gold_tasks: int
    launched_tasks: int


class GoldOut(Out):
    task_id: UUID
    expected: dict[str, Any]
    source: GoldSource
    created_at: datetime


class TaskOut(Out):
    id: UUID
    project_id: UUID
    tile_id: UUID
    state: TaskState
    is_gold: bool
    subject: dict[str, Any] | None
    """The existing annotation that it is about, if it is about one."""
    label: dict[str, Any] | None
    confidence: float | None
    settled_at: datetime | None
    settled_by: str | None
    policy_version: int | None
    """Of the quality policy that it was settled by."""
    review_reason: str | None


class AnswerOut(Out):
    lease_id: UUID
    earner_id: UUID
    outcome: Outcome
    value: dict[str, Any] | None
    answered_at: datetime
    seconds: float
    agreement: float | None
    verdict: Verdict


class TileOut(Out):
    image_id: UUID
    number: int
    window: tuple[int, int, int, int]
    """Left, top, right, bottom; image pixels."""
    core: tuple[int, int, int, int]
    url: str
    content_type: str


def shown(tile: Tile, settings: Settings, store: Store) -> TileOut:
    """A tile with a link to its picture."""
    return TileOut(
        image_id=tile.image_id,
        number=tile.number,
        window=(tile.window_left, tile.window_top, tile.window_right, tile.window_bottom),
        core=(tile.core_left, tile.core_top, tile.core_right, tile.core_bottom),
        url=store.presign_get(
            tile.key, content_type=tile.content_type, expires=settings.download_link_lifetime
        ),
        content_type=tile.content_type,
    )


class TaskDetailOut(TaskOut):
    tile: TileOut
    answers: list[AnswerOut]
    """One page of them, oldest first."""
    next: str | None
    """Cursor of the next answers; none on the last page."""


class TasksOut(Out):
    items: list[TaskOut]
    next: UUID | None


async def _tried(
    *,
    min_overlap: int | None = None,
    max_overlap: int | None = None,
    target_confidence: float | None = None,
    wrong_label_micro: int | None = None,
    minimum_trust: float | None = None,
) -> dict[str, Any]:
    asked = {
        "min_overlap": min_overlap,
        "max_overlap": max_overlap,
        "target_confidence": target_confidence,
        "wrong_label_micro": wrong_label_micro,
        "minimum_trust": minimum_trust,
    }
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if "target_confidence" in changes:  # a price of a wrong label would take its place
        changes.setdefault("wrong_label_micro", None)
    return changes


@router.get(
    "/projects/{project_id}/quality/dry-run",
    responses=problems.documented(
        NotFound, Forbidden, InvalidPolicy, NothingToReplay, TooMuch, Unavailable
    ),
)
async def dry_run_policy(
    project_id: UUID,
    session: Read,
    caller: Caller,
    changes: Annotated[dict[str, Any], Depends(_tried)],
) -> DryRunOut:
    """Replay the answers of a project under another quality policy; nothing changes.

    What is left out is as the project has it.
    """
    told = await dry_run.run(session, project_id, changes=changes, caller=caller)
    return DryRunOut.model_validate(told)


@router.post(
    "/projects/{project_id}/gold",
    status_code=HTTPStatus.CREATED,
    response_model=list[TakenOut],
    responses=problems.documented(
        NotFound,
        Forbidden,
        BadCoco,
        UnknownClass,
        InvalidAnswer,
        UnknownImage,
        TooMuchGold,
        Unavailable,
    ),
    openapi_extra={LARGE_BODY: True},
)
async def import_gold(
    project_id: UUID, body: NewGold, session: Write, caller: Caller
) -> list[gold_import.Taken]:
    """Make gold of images of which the answers are known: all of it, or nothing."""
    return list(
        await gold_import.import_gold(session, project_id, source=body.source(), caller=caller)
    )


@router.post(
    "/tasks/{task_id}/gold",
    status_code=HTTPStatus.CREATED,
    response_model=GoldOut,
    responses=problems.documented(NotFound, Forbidden, NotSettled, NoPlacesLeft),
)
async def mark_gold(task_id: UUID, session: Write, caller: Caller) -> Gold:
    """Ask a settled task of other people, as gold."""
    return await gold.mark_settled(session, task_id, caller=caller)


@router.get("/projects/{project_id}/tasks", responses=problems.documented(NotFound))
async def list_tasks(
    project_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    state: TaskState | None = None,
    cursor: Annotated[UUID | None, Query()] = None,
) -> TasksOut:
    """A project's tasks."""
    found = await tasks.list_owned(
        session, project_id, state=state, caller=caller, after=cursor, limit=limit
    )
    return TasksOut(
        items=[TaskOut.model_validate(task) for task in found],
        next=found[-1].id if len(found) == limit else None,
    )


@router.get("/tasks/{task_id}", responses=problems.documented(NotFound))
async def get_task(
    task_id: UUID,
    session: Read,
    caller: Caller,
    settings: Settings,
    store: Store,
    after: After,
    limit: Limit = 50,
) -> TaskDetailOut:
    """One task with its tile and a page of the answers to it."""
    task = await tasks.owned(session, task_id, caller=caller, right=Right.PROJECTS_READ)
    tile = await session.get_one(Tile, task.tile_id)
    answers = await tasks.answers(session, task, after=after, limit=limit)
    last = answers[-1] if len(answers) == limit else None
    return TaskDetailOut(
        **TaskOut.model_validate(task).model_dump(),
        tile=shown(tile, settings, store),
        answers=[AnswerOut.model_validate(answer) for answer in answers],
        next=paging.encode((last.answered_at, last.lease_id)) if last else None,
    )
