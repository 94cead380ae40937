"""What was decided about an earner: receipts, contests, and answers that may be corrected."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import StringConstraints

from api import problems
from api.deps import After, EarnerId, Limit, Read, Sessions, Settings, Store, Write
from api.idempotency import Route
from api.limits import RateLimited
from api.requests import LARGE_BODY
from api.routes.work import PictureOut
from api.schemas import In, Out, PageOut
from tessera.conduct import contests
from tessera.decisions import service as decisions
from tessera.decisions.errors import NotContestable
from tessera.decisions.models import ContestState, Decision, Effect, Rule
from tessera.kernel import db, paging
from tessera.kernel.errors import NotFound
from tessera.kinds import InvalidAnswer
from tessera.quality import repairs
from tessera.quality.errors import AlreadyRepaired, RepairOver

router = APIRouter(tags=["decisions"], route_class=Route)

JSON_LINES = "application/jsonl"


class DecisionOut(Out):
    id: UUID
    project_id: UUID
    effect: Effect
    rule: Rule
    reason: str
    numbers: dict[str, float]
    """That it follows from, by name."""
    window_from: datetime | None
    """Of the answers that it is about; null if it is about one."""
    window_to: datetime
    policy_version: int
    lease_id: UUID | None
    because_id: UUID | None
    """The decision that this one follows from."""
    by_a_person: bool
    """Or by the rule alone."""
    created_at: datetime
    contestable_until: datetime | None
    """Null: there is nothing to contest."""
    contest_state: ContestState | None
    contest: str | None
    due_at: datetime | None
    """If nobody has answered the contest by then, it is upheld."""
    answer: str | None
    resolved_at: datetime | None


class Contest(In):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
    """Why it is wrong, in your words."""


class RepairOut(Out):
    lease_id: UUID
    project_id: UUID
    kind: str
    picture: PictureOut
    subject: dict[str, Any] | None
    answer: dict[str, Any]
    """As you gave it."""
    reason: str
    until: datetime


class RepairsOut(Out):
    items: list[RepairOut]


class NewRepair(In):
    answer: dict[str, Any]
    """The whole answer, corrected; tile pixels."""


class RepairedOut(Out):
    lease_id: UUID
    replayed: bool
    """The same correction was kept before."""


@router.get("/decisions")
async def list_decisions(
    session: Read, earner_id: EarnerId, settings: Settings, after: After, limit: Limit = 50
) -> PageOut[DecisionOut]:
    """What was decided about you and why, newest first."""
    found = await decisions.mine(
        session, earner_id=earner_id, every=settings.decisions_every, after=after, limit=limit
    )
    return PageOut(items=[_out(each) for each in found], next=paging.cursor(found, limit))


@router.get(
    "/decisions/export",
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: {}}, "description": "One decision in each line"}},
)
async def export_decisions(
    session: Read, sessions: Sessions, earner_id: EarnerId, settings: Settings
) -> StreamingResponse:
    """All decisions about you as a file, newest first: one JSON object in each line."""
    del session  # who is calling was looked up in it
    lines = _lines(sessions, earner_id, settings.decisions_every)
    named = {"Content-Disposition": 'attachment; filename="decisions.jsonl"'}
    return StreamingResponse(lines, media_type=JSON_LINES, headers=named)


async def _lines(sessions: db.Sessions, earner_id: UUID, every: timedelta) -> AsyncIterator[str]:
    async with db.reading(sessions) as reader:
        async for each in decisions.every_one(reader, earner_id=earner_id, every=every):
            yield f"{_out(each).model_dump_json()}\n"


@router.get("/decisions/{decision_id}", responses=problems.documented(NotFound))
async def get_decision(
    decision_id: UUID, session: Read, earner_id: EarnerId, settings: Settings
) -> DecisionOut:
    """One decision about you."""
    every = settings.decisions_every
    return _out(await decisions.one_of_mine(session, decision_id, earner_id=earner_id, every=every))


@router.post(
    "/decisions/{decision_id}/contest", responses=problems.documented(NotFound, NotContestable)
)
async def contest(
    decision_id: UUID, body: Contest, session: Write, earner_id: EarnerId, settings: Settings
) -> DecisionOut:
    """Say that a decision is wrong: somebody answers within two weeks, or you are right."""
    decision = await contests.contest(
        session,
        decision_id,
        earner_id=earner_id,
        every=settings.decisions_every,
        text=body.text,
    )
    return _out(decision)


@router.get("/work/repairs", tags=["work"])
async def list_repairs(
    session: Read, earner_id: EarnerId, settings: Settings, store: Store
) -> RepairsOut:
    """Answers of yours that you may correct, the most urgent first."""
    found = await repairs.mine(session, earner_id=earner_id, every=settings.decisions_every)
    return RepairsOut(
        items=[
            RepairOut(
                lease_id=each.lease_id,
                project_id=each.project_id,
                kind=each.kind,
                picture=PictureOut(
                    url=store.presign_get(
                        each.key,
                        content_type=each.content_type,
                        expires=settings.tile_link_lifetime,
                    ),
                    content_type=each.content_type,
                    width=each.width,
                    height=each.height,
                ),
                subject=each.subject,
                answer=each.answer or {},
                reason=each.reason,
                until=each.until,
            )
            for each in found
        ]
    )


@router.post(
    "/work/repairs/{lease_id}",
    tags=["work"],
    responses=problems.documented(
        NotFound, InvalidAnswer, AlreadyRepaired, RepairOver, RateLimited
    ),
    openapi_extra={LARGE_BODY: True},
)
async def repair(
    lease_id: UUID, body: NewRepair, session: Write, earner_id: EarnerId, settings: Settings
) -> RepairedOut:
    """Correct an answer, once. Whether it is paid is decided within minutes."""
    replayed = await repairs.repair(
        session, lease_id, earner_id=earner_id, every=settings.decisions_every, value=body.answer
    )
    return RepairedOut(lease_id=lease_id, replayed=replayed)


def _out(decision: Decision) -> DecisionOut:
    contestable = decision.effect in decisions.CONTESTABLE
    until = decisions.contestable_until(decision) if contestable else None
    return DecisionOut(
        **{name: getattr(decision, name) for name in DecisionOut.model_fields if name not in _MADE},
        by_a_person=decision.decided_by is not None,
        contestable_until=until,
    )


_MADE = frozenset({"by_a_person", "contestable_until"})
