"""Projects from the operator's side."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, model_validator

from api import problems
from api.deps import After, Caller, Limit, Read, Settings, Write
from api.idempotency import Route
from api.schemas import Currency, In, Micro, Name, Out, PageOut
from tessera.accounts.roles import Right
from tessera.assignment import launch as launching
from tessera.assignment import tasks
from tessera.assignment.errors import NothingToLaunch
from tessera.images import service as images
from tessera.kernel import jobs, paging
from tessera.kernel.errors import Forbidden, NotFound
from tessera.ledger.errors import InsufficientFunds, UnknownCurrency
from tessera.projects import service
from tessera.projects.errors import CannotFollow, InvalidPolicy, NotEditable, WrongState
from tessera.projects.instructions import LONGEST
from tessera.projects.models import Follows, Project, ProjectState
from tessera.projects.policies import (
    TRUST_TO_VERIFY,
    Quality,
    QualityFields,
    Slicing,
    SlicingFields,
)
from tessera.projects.service import Draft
from tessera.quality.judge import RATED_BY
from tessera.quality.settle import DECIDED_BY

router = APIRouter(tags=["projects"], route_class=Route)

Instructions = Annotated[str, Field(max_length=LONGEST)]
ClassId = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
LeaseSeconds = Annotated[int, Field(strict=True, ge=30, le=86_400)]


class NewFollows(In):
    project_id: UUID
    classes: Annotated[list[ClassId], Field(min_length=1, max_length=1_000)] | None = None
    """Ids in the label schema of that project: only where it has found one of these does this one
    ask; without them, where it has found anything. What is verified is so everywhere."""


class NewProject(In):
    name: Name
    instructions: Instructions = ""
    """Markdown (CommonMark); pictures, tables, HTML and reference links are left as text."""
    kind: Annotated[str, Field(max_length=50)]
    label_schema: dict[str, Any]
    follows: NewFollows | None = None
    """The stage before this one, of a chain. It has the images, and says how they are cut."""
    slicing: Slicing = Slicing()
    quality: Quality = Quality()
    currency: Currency
    price_micro: Micro
    """To the earner for one answer, in micro-units of the currency."""
    lease_seconds: LeaseSeconds = 600

    @model_validator(mode="after")
    def _cut_once(self) -> "NewProject":
        if self.follows is not None and "slicing" in self.model_fields_set:
            raise ValueError("a later stage is cut as the first one is: leave `slicing` out")
        return self

    def draft(self) -> Draft:
        fields = {name: getattr(self, name) for name in NewProject.model_fields}
        follows = self.follows and Follows(self.follows.project_id, self.follows.classes)
        quality = self.quality
        if self.kind == "verify" and "minimum_trust" not in quality.model_fields_set:
            quality = quality.model_copy(update={"minimum_trust": TRUST_TO_VERIFY})
        return Draft(**{**fields, "follows": follows, "quality": quality})


class ProjectChanges(In):
    name: Name = ""
    instructions: Instructions = ""
    lease_seconds: LeaseSeconds = 600
    kind: Annotated[str, Field(max_length=50)] = ""
    label_schema: dict[str, Any] = Field(default_factory=dict)
    slicing: SlicingFields = SlicingFields()
    """Those fields that are to change; so `quality`."""
    quality: QualityFields = QualityFields()
    currency: Currency = ""
    price_micro: Micro = 1


class FollowsOut(Out):
    project_id: UUID
    classes: list[int] | None


class ProjectOut(Out):
    id: UUID
    organisation_id: UUID
    name: str
    instructions: str
    kind: str
    label_schema: dict[str, Any]
    follows: FollowsOut | None
    slicing: Slicing
    quality: Quality
    currency: str
    price_micro: int
    fee_micro: int
    lease_seconds: int
    policy_version: int
    """Of `quality`."""
    state: ProjectState
    paused_reason: str | None
    """Why it was paused, if nobody did: `broken-tasks`."""
    reserved_micro: int
    """In all launches; what of it was not needed comes back when the project is completed."""
    created_at: datetime
    launched_at: datetime | None
    completed_at: datetime | None


class EstimateOut(Out):
    tasks: int
    gold_tasks: int
    best_micro: int
    expected_micro: int
    worst_micro: int
    available_micro: int | None
    """Of the organisation; only for those who may see its balance."""
    currency: str


class ProgressOut(Out):
    images: dict[str, int]
    """By state."""
    tasks: dict[str, int]
    """By state, and gold apart."""


@router.post(
    "/organisations/{organisation_id}/projects",
    status_code=HTTPStatus.CREATED,
    response_model=ProjectOut,
    responses=problems.documented(NotFound, Forbidden, UnknownCurrency, CannotFollow),
)
async def create(
    organisation_id: UUID, body: NewProject, session: Write, caller: Caller, settings: Settings
) -> Project:
    """Make a project. Nobody works on it, and nothing is paid, before it is launched."""
    return await service.create(
        session,
        organisation_id,
        draft=body.draft(),
        fee_basis_points=settings.fee_basis_points,
        caller=caller,
    )


@router.get("/organisations/{organisation_id}/projects")
async def list_projects(
    organisation_id: UUID, session: Read, caller: Caller, after: After, limit: Limit = 50
) -> PageOut[ProjectOut]:
    """An organisation's projects, newest first."""
    found = await service.list_owned(
        session, organisation_id, caller=caller, after=after, limit=limit
    )
    return PageOut(
        items=[ProjectOut.model_validate(project) for project in found],
        next=paging.cursor(found, limit),
    )


@router.get(
    "/projects/{project_id}", response_model=ProjectOut, responses=problems.documented(NotFound)
)
async def get(project_id: UUID, session: Read, caller: Caller) -> Project:
    """One project."""
    return await service.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)


@router.patch(
    "/projects/{project_id}",
    response_model=ProjectOut,
    responses=problems.documented(NotFound, Forbidden, NotEditable, InvalidPolicy),
)
async def edit(
    project_id: UUID, body: ProjectChanges, session: Write, caller: Caller, settings: Settings
) -> Project:
    """Change what you name; what launched tasks depend on is refused once there are any."""
    changes = body.model_dump(exclude_unset=True)
    if "price_micro" in changes:
        changes["fee_micro"] = service.fee(changes["price_micro"], settings.fee_basis_points)
    project = await service.edit(session, project_id, changes=changes, caller=caller)
    if "slicing" in changes:
        await images.refuse_another_cut(session, project_id)
    touched, payload = changes.get("quality", {}).keys(), {"project_id": str(project_id)}
    if touched & RATED_BY:
        await jobs.enqueue(session, "quality.rate_again", payload=payload)
    if touched & DECIDED_BY:
        await jobs.enqueue(session, "quality.decide_again", payload=payload)
    return project


@router.get("/projects/{project_id}/estimate", responses=problems.documented(NotFound))
async def estimate(project_id: UUID, session: Read, caller: Caller) -> EstimateOut:
    """What launching the tasks that wait would cost: at best, as expected, at worst."""
    project = await service.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    planned = await launching.estimate(session, project_id, caller=caller)
    sees_money = Right.MONEY_READ in caller.rights[project.organisation_id]
    return EstimateOut(
        tasks=planned.tasks,
        gold_tasks=planned.gold_tasks,
        best_micro=planned.cost.best_micro,
        expected_micro=planned.cost.expected_micro,
        worst_micro=planned.cost.worst_micro,
        available_micro=planned.available_micro if sees_money else None,
        currency=project.currency,
    )


@router.post(
    "/projects/{project_id}/launch",
    response_model=ProjectOut,
    responses=problems.documented(
        NotFound, Forbidden, NothingToLaunch, InsufficientFunds, WrongState
    ),
)
async def launch(project_id: UUID, session: Write, caller: Caller) -> Project:
    """Reserve the worst case from the balance and open the tasks that wait to earners."""
    return await launching.launch(session, project_id, caller=caller)


@router.post(
    "/projects/{project_id}/pause",
    response_model=ProjectOut,
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def pause(project_id: UUID, session: Write, caller: Caller) -> Project:
    """Hand out no more tasks; answers to tasks already handed out are taken and paid."""
    return await service.move(session, project_id, to=ProjectState.PAUSED, caller=caller)


@router.post(
    "/projects/{project_id}/resume",
    response_model=ProjectOut,
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def resume(project_id: UUID, session: Write, caller: Caller) -> Project:
    """Hand out tasks again."""
    return await service.move(session, project_id, to=ProjectState.OPEN, caller=caller)


@router.post(
    "/projects/{project_id}/complete",
    response_model=ProjectOut,
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def complete(project_id: UUID, session: Write, caller: Caller) -> Project:
    """End it for good. What is still out is paid; the rest of the reserve comes back."""
    project = await service.move(session, project_id, to=ProjectState.COMPLETED, caller=caller)
    await jobs.enqueue(session, "assignment.release", payload={"project_id": str(project_id)})
    return project


@router.get("/projects/{project_id}/progress", responses=problems.documented(NotFound))
async def progress(project_id: UUID, session: Read, caller: Caller) -> ProgressOut:
    """How far it is."""
    project = await service.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    return ProgressOut(
        images=await images.counts(session, project.images_of),
        tasks=await tasks.counts(session, project_id),
    )
