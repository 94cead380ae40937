"""Gold as its operator sees it: how often it was seen, and whether it still tells anything."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import StringConstraints

from api import problems
from api.deps import Caller, Limit, Read, Write
from api.idempotency import Route
from api.schemas import In, Out
from tessera.kernel.errors import Forbidden, NotFound
from tessera.kinds import InvalidAnswer
from tessera.quality import gold_health, gold_wrong
from tessera.quality.errors import NotGold
from tessera.quality.models import GoldRepair, GoldSource, NoView, Retired

router = APIRouter(tags=["quality"], route_class=Route)


class GoldHealthOut(Out):
    task_id: UUID
    """The task that was gold first, whatever is shown of it now."""
    shown_id: UUID
    """The task that is shown now, or was last: another picture of the same place."""
    source: GoldSource
    created_at: datetime
    pictures: int
    """That were made of it, with the first."""
    exposures: int
    """People who have had any of them."""
    no_view: NoView | None
    """Why it goes on though as many have seen it as may."""
    answers: int
    """Scored, when it was looked at last; so all that follows, null before."""
    accuracy: float | None
    expected_accuracy: float | None
    """By what those who answered are trusted with."""
    early_accuracy: float | None
    """Of the first half of the answers."""
    late_accuracy: float | None
    pace: float | None
    """Time spent on it, beside what the same people spend on ordinary tasks: 1 is as long."""
    strength: float | None
    """Weight of evidence that its answer is known, in powers of ten."""
    checked_at: datetime | None
    retired_at: datetime | None
    """Nobody is asked it any more."""
    retired_reason: Retired | None


class GoldPageOut(Out):
    items: list[GoldHealthOut]
    next: UUID | None


class WrongGold(In):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
    label: dict[str, Any] | None = None
    """What is right, in the form of answers; without it, a reviewer decides."""


class GoldRepairOut(Out):
    task_id: UUID
    expected: dict[str, Any]
    reason: str
    decided_by: UUID | None
    earners: int
    """Judged anew."""
    restored: int
    """Of these, who had been stopped and may go on."""
    answers_paid: int
    """That had been rejected."""
    created_at: datetime


@router.post(
    "/tasks/{task_id}/gold/wrong",
    response_model=GoldRepairOut,
    responses=problems.documented(NotFound, Forbidden, NotGold, InvalidAnswer),
)
async def pull(task_id: UUID, body: WrongGold, session: Write, caller: Caller) -> GoldRepair:
    """Say that gold is wrong: everybody is judged anew, let back and paid, in one go."""
    repair = await gold_wrong.pull(
        session, task_id, reason=body.reason, label=body.label, caller=caller
    )
    await session.refresh(repair)
    return repair


@router.get("/projects/{project_id}/gold", responses=problems.documented(NotFound, Forbidden))
async def list_gold(
    project_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    cursor: Annotated[UUID | None, Query(description="`next` of the last page")] = None,
) -> GoldPageOut:
    """A project's gold: how many have seen it, how it is answered, what was retired and why."""
    found = await gold_health.listed(session, project_id, caller=caller, after=cursor, limit=limit)
    return GoldPageOut(
        items=[GoldHealthOut.model_validate(each) for each in found],
        next=found[-1].task_id if len(found) == limit else None,
    )
