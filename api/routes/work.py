"""The earner's way: look at offers, lease tasks, answer them.

Bodies are explicit lists of fields: whether a task is gold is not among them, and gold takes
the same way through the same code as everything else.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import problems
from api.deps import After, EarnerId, Limit, Read, Settings, Store, Write
from api.idempotency import NEVER_STORED, Route
from api.limits import RateLimited
from api.observability import ANSWERS, LEASES
from api.requests import LARGE_BODY
from api.schemas import In, Out, PageOut
from tessera.assignment import answer as answering
from tessera.assignment import lease as leasing
from tessera.assignment import offers, queue
from tessera.assignment.answer import Given, Result
from tessera.assignment.errors import (
    AnswersRefused,
    Blocked,
    RepeatedLease,
    Stopped,
    TrainingNeeded,
)
from tessera.assignment.leased import Leased
from tessera.assignment.models import Lease, Outcome
from tessera.assignment.offers import Offer, Trained
from tessera.assignment.training import State
from tessera.conduct.scorecard import Scorecard, scorecards
from tessera.kernel import paging
from tessera.kernel.errors import NotFound
from tessera.projects.instructions import to_html
from tessera.projects.models import Project

router = APIRouter(prefix="/work", tags=["work"], route_class=Route)

MOST_AT_ONCE = 50
LONGEST_LEASE = 4
"""A lease can be extended up to so many times its length."""
LeaseIds = Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)]


class OfferTrainingOut(Out):
    state: State
    """`needed`: look at the training itself whether one may begin now."""
    again_at: datetime | None
    """When you may try again, if you have to wait."""
    questions: int
    right_needed: int
    pays_micro: int
    """For passing it."""


class ScorecardOut(Out):
    """What became of decisions of who posts it that earners contested, in the last year."""

    contested: int
    upheld: int
    """With the earner right."""
    unanswered: int
    """Of these, as nobody answered in time."""
    is_often_overturned: bool


class OfferOut(Out):
    project_id: UUID
    name: str
    kind: str
    instructions_html: str
    """Sanitised."""
    label_schema: dict[str, Any]
    price_micro: int
    currency: str
    lease_seconds: int
    blocked_reason: str | None
    """Why you get no more of its tasks, if you do not."""
    contests: ScorecardOut
    training: OfferTrainingOut | None
    """What you have to pass before you get any; nothing where nobody is trained."""


class Wanted(In):
    project_id: UUID | None = None
    """One project; without it, any that is open to you."""
    count: Annotated[int, Field(strict=True, ge=1, le=MOST_AT_ONCE)] = 10


class PictureOut(Out):
    url: str
    content_type: str
    width: int
    height: int


class LeaseOut(Out):
    lease_id: UUID
    fence: int
    project_id: UUID
    kind: str
    picture: PictureOut
    subject: dict[str, Any] | None
    """The existing annotation that it is about, if it is about one, and why that was sent back."""
    price_micro: int
    currency: str
    expires_at: datetime


class LeasesOut(Out):
    leases: list[LeaseOut]
    server_time: datetime
    reason: str | None
    """Why there is nothing: `no-work`, `too-many-open-leases`, or `slowed`, with a receipt why."""
    retry_after_seconds: int | None


class OpenLeasesOut(Out):
    leases: list[LeaseOut]
    server_time: datetime


class HeldOut(Out):
    lease_id: UUID
    fence: int
    project_id: UUID
    expires_at: datetime


class HeldsOut(Out):
    leases: list[HeldOut]
    server_time: datetime


class Extension(In):
    lease_ids: LeaseIds


class Return(In):
    lease_ids: LeaseIds
    reason: Annotated[str, Field(pattern="^(skip|later)$")]
    """`skip`: not for me; `later`: out of time. Neither counts against you."""


class NewAnswer(In):
    lease_id: UUID
    fence: Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]
    outcome: Outcome
    answer: dict[str, Any] | None = None
    """For the outcome `answered`; tile pixels."""
    seconds: Annotated[float, Field(strict=True, ge=0, le=86_400)] | None = None
    """Time you were active on it."""


class NewAnswers(In):
    answers: Annotated[list[NewAnswer], Field(min_length=1, max_length=MOST_AT_ONCE)]


class ResultOut(Out):
    lease_id: UUID
    accepted: bool
    """It arrived and is kept; what it is worth is decided later."""
    replayed: bool
    """The same answer was kept before."""
    problem: dict[str, Any] | None


class ResultsOut(Out):
    results: list[ResultOut]


@router.get("/offers")
async def list_offers(
    session: Read, earner_id: EarnerId, after: After, limit: Limit = 50
) -> PageOut[OfferOut]:
    """Open projects, newest first, whether or not there is work at the moment."""
    found = await offers.offers(session, earner_id=earner_id, after=after, limit=limit)
    theirs = await scorecards(session, {each.project.organisation_id for each in found})
    return PageOut(
        items=[_offer(each, theirs) for each in found],
        next=paging.cursor([each.project for each in found], limit),
    )


@router.get("/offers/{project_id}", responses=problems.documented(NotFound))
async def get_offer(project_id: UUID, session: Read, earner_id: EarnerId) -> OfferOut:
    """What a project asks: instructions, label schema, price."""
    found = await offers.offer(session, project_id, earner_id=earner_id)
    return _offer(found, await scorecards(session, {found.project.organisation_id}))


@router.post(
    "/leases",
    responses=problems.documented(NotFound, Blocked, Stopped, TrainingNeeded, RateLimited),
    openapi_extra={NEVER_STORED: True},
)
async def lease(
    body: Wanted, session: Write, earner_id: EarnerId, settings: Settings, store: Store
) -> LeasesOut:
    """Lease tasks. Each is yours until it expires; nobody gets a task twice."""
    handed = await leasing.lease(
        session, earner_id=earner_id, project_id=body.project_id, count=body.count
    )

    LEASES.inc(len(handed.leases))
    return LeasesOut(
        leases=[_lease(each, settings, store) for each in handed.leases],
        server_time=handed.server_time,
        reason=handed.reason,
        retry_after_seconds=handed.retry_after_seconds,
    )


@router.get("/leases")
async def held(
    session: Read, earner_id: EarnerId, settings: Settings, store: Store
) -> OpenLeasesOut:
    """Your open leases as they were handed out, with fresh links; the most urgent first."""
    mine = await offers.held(session, earner_id=earner_id)
    return OpenLeasesOut(
        leases=[_lease(each, settings, store) for each in mine],
        server_time=await _now(session),
    )


@router.post("/leases/extend")
async def extend(body: Extension, session: Write, earner_id: EarnerId) -> HeldsOut:
    """Say that you are still at it. Leases that are no longer yours are not in the answer."""
    extended = await queue.extend_leases(
        session, earner_id=earner_id, lease_ids=body.lease_ids, most_times=LONGEST_LEASE
    )
    return await _held(session, extended)


@router.post("/leases/return")
async def give_back(body: Return, session: Write, earner_id: EarnerId) -> HeldsOut:
    """Give tasks back unanswered; somebody else gets them. Returns those that were open."""
    returned = await queue.return_leases(
        session, earner_id=earner_id, lease_ids=body.lease_ids, reason=body.reason
    )
    return await _held(session, returned)


@router.post(
    "/answers",
    response_model=ResultsOut,
    responses=problems.documented(AnswersRefused, RepeatedLease, RateLimited),
    openapi_extra={LARGE_BODY: True},
)
async def answer(
    body: NewAnswers, request: Request, session: Write, earner_id: EarnerId
) -> JSONResponse | ResultsOut:
    """Answer tasks. Each answer counts once, however often it is sent.

    One that is refused leaves the others alone; if all are, the answer is a problem.
    """
    given = [
        Given(one.lease_id, one.fence, one.outcome, one.answer, one.seconds) for one in body.answers
    ]
    results = await answering.answer(session, earner_id=earner_id, given=given)
    for result in results:
        ANSWERS.labels(result.refusal.code if result.refusal else "accepted").inc()
    if all(result.refusal is not None for result in results):
        return _refused(results, request)
    return ResultsOut(results=[_result(result) for result in results])


def _refused(results: Sequence[Result], request: Request) -> JSONResponse:
    only = results[0].refusal if len(results) == 1 else None
    if only is not None:
        return problems.respond(problems.of_error(only), request)
    problem = problems.body(
        HTTPStatus.CONFLICT,
        AnswersRefused.code,
        "None of these answers could be taken.",
        results=[_result(result).model_dump(mode="json") for result in results],
    )
    return problems.respond(problem, request)


def _result(result: Result) -> ResultOut:
    return ResultOut(
        lease_id=result.lease_id,
        accepted=result.refusal is None,
        replayed=result.replayed,
        problem=problems.of_error(result.refusal) if result.refusal else None,
    )


def _offer(offer: Offer, scorecards_of: Mapping[UUID, Scorecard]) -> OfferOut:
    project = offer.project
    return OfferOut(
        project_id=project.id,
        name=project.name,
        kind=project.kind,
        instructions_html=to_html(project.instructions),
        label_schema=project.label_schema,
        price_micro=project.price_micro,
        currency=project.currency,
        lease_seconds=project.lease_seconds,
        blocked_reason=offer.blocked_reason,
        contests=ScorecardOut.model_validate(scorecards_of[project.organisation_id]),
        training=offer.training and _offered_training(project, offer.training),
    )


def _offered_training(project: Project, trained: Trained) -> OfferTrainingOut:
    training = trained.training
    return OfferTrainingOut(
        state=trained.state,
        again_at=trained.again_at,
        questions=training.questions,
        right_needed=training.right_needed,
        pays_micro=training.questions * project.price_micro,
    )


def _lease(leased: Leased, settings: Settings, store: Store) -> LeaseOut:
    url = store.presign_get(
        leased.key, content_type=leased.content_type, expires=settings.tile_link_lifetime
    )
    return LeaseOut(
        lease_id=leased.id,
        fence=leased.fence,
        project_id=leased.project_id,
        kind=leased.kind,
        picture=PictureOut(
            url=url,
            content_type=leased.content_type,
            width=leased.width,
            height=leased.height,
        ),
        subject=leased.subject,
        price_micro=leased.price_micro,
        currency=leased.currency,
        expires_at=leased.expires_at,
    )


async def _held(session: AsyncSession, leases: Sequence[Lease]) -> HeldsOut:
    return HeldsOut(
        leases=[
            HeldOut(
                lease_id=each.id,
                fence=each.fence,
                project_id=each.project_id,
                expires_at=each.expires_at,
            )
            for each in leases
        ],
        server_time=await _now(session),
    )


async def _now(session: AsyncSession) -> datetime:
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    return now
