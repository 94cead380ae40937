"""Audits of settled labels, and a project's quality in figures."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api import problems
from api.deps import After, Caller, Limit, Read, Settings, Store, Write
from api.idempotency import Route
from api.routes.review import NextOut, Opinion, PairsOut, blind
from api.schemas import In, Out, PageOut
from tessera.assignment.models import Task
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound, Unavailable
from tessera.kinds import InvalidAnswer
from tessera.quality import audits, quality_report
from tessera.quality.errors import AlreadyAudited, SampleTooLarge
from tessera.quality.estimated_accuracy import Method, of_sample
from tessera.quality.review_models import Audit, AuditTask

router = APIRouter(tags=["quality"], route_class=Route)

MOST_SAMPLED = 5_000
"""What people can look at; their label is ± 0.014 sure then, at worst."""


class NewAudit(In):
    size: Annotated[int, Field(strict=True, ge=1, le=MOST_SAMPLED)]
    """Tasks to look at."""
    right_from: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """Likeness to a reviewer's label from which a label is right: if not set, 0.5 of one choice,
    and 0.75 of anything else."""


class SampleOut(Out):
    size: int
    right: int
    labels: int
    """That the accuracy is of: those that answers came to, but for what was corrected."""
    later: int | None
    """Of these, settled since the sample was drawn: low takes them for wrong, high for right."""


class AccuracyOut(Out):
    value: float
    low: float
    high: float
    level: float
    """How often such intervals hold the real accuracy, at least."""
    method: Method
    sample: SampleOut


class PointOut(Out):
    confidence: float
    accuracy: float
    low: float | None
    high: float | None
    items: int


class CalibrationOut(Out):
    method: Method
    items: int
    error: float
    """Expected calibration error: how far stated confidence is off, in the mean."""
    curve: list[PointOut]


class AuditOut(Out):
    id: UUID
    project_id: UUID
    created_by: UUID
    created_at: datetime
    seed: str
    """The sample is of those tasks of which the SHA-256 of it (eight bytes) and the id is least."""
    population: int
    size: int
    right_from: float
    quality: dict[str, Any]
    """The project's policy when it was drawn."""
    done: int
    """Tasks that were looked at."""
    finished_at: datetime | None


class AuditDetailOut(AuditOut):
    accuracy: AccuracyOut | None
    """Of the labels as they stood when it was drawn; null until all of the sample was looked at."""
    calibration: CalibrationOut | None


class AuditTaskOut(Out):
    number: int
    task_id: UUID
    label: dict[str, Any]
    """As it stood when the sample was drawn; so `confidence`."""
    confidence: float | None
    is_right: bool
    is_corrected: bool
    review_id: UUID


class AuditTasksOut(Out):
    items: list[AuditTaskOut]
    next: int | None


class SharesOut(Out):
    value: float
    low: float
    high: float


class ClassByGoldOut(Out):
    precision: SharesOut | None
    called: int
    """Gold that people call so, by which that is known."""
    recall: SharesOut | None
    there: int
    """Gold that is so."""
    mistaken_for: int | None
    """What it is taken for most often."""


class ClassQualityOut(Out):
    id: int
    name: str
    accepted: int
    by_gold: ClassByGoldOut | None


class QualityReportOut(Out):
    accuracy: AccuracyOut | None
    """Of the labels that answers came to; null where nothing tells."""
    calibration: CalibrationOut | None
    classes: list[ClassQualityOut] | None
    """Null unless one of several is chosen."""
    settled: int
    """Tasks, but for gold; so the others."""
    settled_by_answers: int
    settled_by_review: int
    share_reviewed: float | None
    in_review: int
    answers: int
    answers_per_task: float | None
    agreement: float | None
    reviewers: PairsOut


def _out(audit: Audit, done: int) -> dict[str, Any]:
    fields = {name: getattr(audit, name) for name in AuditOut.model_fields if name != "done"}
    # as text: programs that read numbers as doubles would have another one
    return {**fields, "seed": str(audit.seed), "done": done}


@router.post(
    "/projects/{project_id}/audits",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(NotFound, Forbidden, SampleTooLarge),
)
async def draw_audit(project_id: UUID, body: NewAudit, session: Write, caller: Caller) -> AuditOut:
    """Draw a random sample of the labels that answers came to, for reviewers to look at."""
    audit = await audits.draw(
        session, project_id, size=body.size, right_from=body.right_from, caller=caller
    )
    return AuditOut(**_out(audit, 0))


@router.get("/projects/{project_id}/audits", responses=problems.documented(NotFound, Forbidden))
async def list_audits(
    project_id: UUID, session: Read, caller: Caller, after: After, limit: Limit = 50
) -> PageOut[AuditOut]:
    """A project's audits, newest first."""
    found = await audits.listed(session, project_id, caller=caller, after=after, limit=limit)
    done = await audits.done(session, found)
    return PageOut(
        items=[AuditOut(**_out(each, done[each.id])) for each in found],
        next=paging.cursor(found, limit),
    )


_AUDIT = "/projects/{project_id}/audits/{audit_id}"


@router.get(_AUDIT, responses=problems.documented(NotFound, Forbidden))
async def get_audit(
    project_id: UUID, audit_id: UUID, session: Read, caller: Caller
) -> AuditDetailOut:
    """One audit; what it found once all of its tasks were looked at."""
    audit = await audits.owned(session, project_id, audit_id, caller=caller)
    done = (await audits.done(session, [audit]))[audit.id]
    if audit.finished_at is None:
        return AuditDetailOut(**_out(audit, done), accuracy=None, calibration=None)
    found = of_sample(await audits.found(session, audit))
    curve = await quality_report.of_audit(session, audit)
    return AuditDetailOut(
        **_out(audit, done),
        accuracy=AccuracyOut.model_validate(found),
        calibration=None if curve is None else CalibrationOut.model_validate(curve),
    )


@router.get(f"{_AUDIT}/tasks", responses=problems.documented(NotFound, Forbidden))
async def list_audit_tasks(
    project_id: UUID,
    audit_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    cursor: Annotated[int, Query(ge=0, le=MOST_SAMPLED)] = 0,
) -> AuditTasksOut:
    """What was looked at so far, in the order of the draw."""
    audit = await audits.owned(session, project_id, audit_id, caller=caller)
    found = await audits.entries(session, audit, after=cursor, limit=limit)
    return AuditTasksOut(
        items=[AuditTaskOut.model_validate(each) for each in found],
        next=found[-1].number if len(found) == limit else None,
    )


@router.get(f"{_AUDIT}/next", responses=problems.documented(NotFound, Forbidden))
async def next_audit_task(
    project_id: UUID,
    audit_id: UUID,
    session: Read,
    caller: Caller,
    settings: Settings,
    store: Store,
) -> NextOut:
    """A task to look at, without its label, its answers, or how sure anybody is."""
    audit = await audits.owned(session, project_id, audit_id, caller=caller)
    entry = await audits.next_of(session, audit, caller=caller)
    if entry is None:
        return NextOut(task=None)
    task = await session.get_one(Task, (entry.project_id, entry.task_id))
    return NextOut(task=await blind(session, task, entry.subject, settings, store))


@router.post(
    f"{_AUDIT}/tasks/{{sampled_id}}",
    response_model=AuditTaskOut,
    responses=problems.documented(NotFound, Forbidden, AlreadyAudited, InvalidAnswer),
)
async def audit_task(
    project_id: UUID,
    audit_id: UUID,
    sampled_id: UUID,
    body: Opinion,
    session: Write,
    caller: Caller,
) -> AuditTask:
    """Say what is right of a task in the sample; its label is corrected where it is wrong."""
    return await audits.judge(
        session, project_id, audit_id, sampled_id, label=body.label, caller=caller
    )


@router.get("/projects/{project_id}/quality", responses=problems.documented(NotFound, Unavailable))
async def get_quality(project_id: UUID, session: Read, caller: Caller) -> QualityReportOut:
    """How good a project's labels are, and how that is known."""
    return QualityReportOut.model_validate(
        await quality_report.report(session, project_id, caller=caller)
    )
