"""Two tenants with one of everything each, and everybody who might call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Person, Role, Session
from tessera.accounts.roles import KEY_SCOPES, Right
from tessera.accounts.tokens import digest
from tessera.assignment.models import Task, TaskState
from tessera.datasets.models import Dataset, DatasetRun, RunKind
from tessera.decisions.models import Decision, Effect, Rule
from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.service import OUTSIDE
from tessera.quality.review_models import Audit, AuditTask
from tests.client import As
from tests.ledger.money import move
from tests.world import BOX_SCHEMA, RIGHT, World, coco, photograph

IBAN = "DE89370400440532013000"
Place = dict[str, Any]


class Undone:
    """Sessions that do everything a transaction does, deferred constraints too, but commit.

    So one call leaves no trace for the next, in whatever order they come.
    """

    def __init__(self, real: db.Sessions) -> None:
        self._real = real

    def __call__(self) -> AsyncSession:
        return self._real()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        async with self._real() as session:
            yield session
            await session.flush()
            await session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            session.expunge_all()  # or what was read of it would be forgotten with it
            await session.rollback()


@dataclass(frozen=True)
class Tenants:
    callers: dict[str, str]
    """Tokens by who they are; empty for none."""
    a: Place
    b: Place


async def two_tenants(world: World) -> Tenants:
    maker, platform = await world.finance(2)
    owner, a = await _tenant(world, maker)
    stranger, b = await _tenant(world, maker)
    organisation_id = a["organisation_id"]
    manager = await world.member(owner, organisation_id, Role.MANAGER)
    reviewer = await world.member(owner, organisation_id, Role.REVIEWER)
    finance = await world.member(owner, organisation_id, Role.FINANCE)
    (platforms,) = await maker.get("/v1/organisations")
    no_finance = await world.member(maker, platforms["id"], Role.MANAGER)
    earner, other = await _earner(world, a), await _earner(world, b)
    batch = await maker.post("/v1/finance/payout-batches", {"currency": "USD"})
    for place in (a, b):
        place |= {"batch_id": batch["id"], "items_sha256": batch["items_sha256"]}
    revoked = await _key(owner, organisation_id, KEY_SCOPES)
    await owner.delete(f"/v1/organisations/{organisation_id}/api-keys/{revoked['id']}")
    return Tenants(
        callers={
            "nobody": "",
            "malformed token": "no such token",
            "expired session": await _spoilt(world, expires_at=func.now() - timedelta(seconds=1)),
            "revoked session": await _spoilt(world, revoked_at=func.now()),
            "disabled person": await _disabled(world),
            "revoked key": revoked["key"],
            "owner": owner.token,
            "manager": manager.token,
            "reviewer": reviewer.token,
            "finance": finance.token,
            "full key": (await _key(owner, organisation_id, KEY_SCOPES))["key"],
            **await _narrow_keys(owner, organisation_id),
            "stranger": stranger.token,
            "stranger's key": (await _key(stranger, b["organisation_id"], KEY_SCOPES))["key"],
            "platform": platform.token,
            "platform's manager": no_finance.token,
            "earner": earner.token,
            "other earner": other.token,
        },
        a=a,
        b=b,
    )


async def _tenant(world: World, finance: As) -> tuple[As, Place]:
    """An owner, and the ids of what their organisation has."""
    owner, organisation_id = await world.operator()
    deposit = await finance.post(
        "/v1/finance/deposits",
        {
            "organisation_id": organisation_id,
            "amount_micro": 10**9,
            "currency": "USD",
            "reference": organisation_id,
        },
    )
    draft = await world.project(owner, organisation_id)
    await world.images(owner, draft["id"], [("000.jpg", photograph())])
    await owner.post(f"/v1/projects/{draft['id']}/gold", {"coco": coco(["000.jpg"])})
    (known,) = (await owner.get(f"/v1/projects/{draft['id']}/tasks"))["items"]
    about = {"kind": "verify", "label_schema": {**BOX_SCHEMA, "of": "box"}}
    verifying = await world.project(owner, organisation_id, **about)
    await world.images(owner, verifying["id"], [("000.jpg", photograph())])
    project = await world.project(owner, organisation_id)
    files = [(name, photograph()) for name in ("000.jpg", "001.jpg")]
    image, _ = await world.images(owner, project["id"], files)
    await owner.post(f"/v1/projects/{project['id']}/launch")
    await world.work.jobs()
    task, disputed = (await owner.get(f"/v1/projects/{project['id']}/tasks"))["items"]
    async with db.transaction(world.sessions) as session:
        one = Task.id == UUID(disputed["id"])
        await session.execute(update(Task).where(one).values(state=TaskState.REVIEW))
    made = await owner.post(f"/v1/projects/{project['id']}/imports", {"source": "zip"})
    annotations = await owner.post(
        f"/v1/projects/{project['id']}/annotation-imports",
        {"purpose": "gold", "format": "coco", "size": 1},
    )
    member = await world.member(owner, organisation_id, Role.REVIEWER)
    return owner, {
        "organisation_id": organisation_id,
        "transfer_id": deposit["transfer_id"],
        "person_id": (await member.get("/v1/me"))["person_id"],
        "invitation_id": (await _invitation(owner, organisation_id))["id"],
        "key_id": (await _key(owner, organisation_id, {Right.REVIEW}))["id"],
        "project_id": project["id"],
        "image_id": image["id"],
        "import_id": made["id"],
        "annotation_import_id": annotations["id"],
        "task_id": task["id"],
        "draft_id": draft["id"],
        "known_id": known["id"],
        "verifying_id": verifying["id"],
        "disputed_id": disputed["id"],
        **await _dataset(world.sessions, UUID(project["id"])),
        **await _audit(world.sessions, UUID(project["id"]), UUID(disputed["id"])),
    }


async def _dataset(sessions: db.Sessions, project_id: UUID) -> Place:
    async with db.transaction(sessions) as session:
        dataset_id = digest(str(project_id)).hex()
        session.add(
            Dataset(
                id=dataset_id, project_id=project_id, manifest={"files": []}, manifest_key="none"
            )
        )
        await session.flush()
        run = DatasetRun(project_id=project_id, kind=RunKind.VERIFY, dataset_id=dataset_id)
        session.add(run)
        await session.flush()
        return {"dataset_id": dataset_id, "run_id": str(run.id)}


async def _audit(sessions: db.Sessions, project_id: UUID, task_id: UUID) -> Place:
    """Of a task that was asked anew since it was drawn."""
    async with db.transaction(sessions) as session:
        numbers = {"seed": 1, "population": 1, "size": 1, "right_from": 0.75, "quality": {}}
        audit = Audit(project_id=project_id, created_by=project_id, **numbers)
        session.add(audit)
        await session.flush()
        of = {"audit_id": audit.id, "project_id": project_id, "task_id": task_id}
        session.add(AuditTask(**of, number=1, label=RIGHT, confidence=0.9))
        return {"audit_id": str(audit.id), "sampled_id": str(task_id)}


async def _earner(world: World, place: Place) -> As:
    """An earner with a lease and a payout that waits; their ids go to the place."""
    earner = await world.earner()
    handed = await earner.post("/v1/work/leases", {"project_id": place["project_id"]})
    place["lease_id"] = handed["leases"][0]["lease_id"]
    place["fence"] = handed["leases"][0]["fence"]
    earner_id = UUID((await earner.get("/v1/me"))["person_id"])
    place["earner_id"] = str(earner_id)
    place["decision_id"] = await _decision(world.sessions, UUID(place["project_id"]), earner_id)
    await move(world.sessions, OUTSIDE, ledger.earner(earner_id), 10**7, currency="USD")
    await earner.put(
        "/v1/payout-destination", {"rail": "manual", "details": {"holder": "Ada", "iban": IBAN}}
    )
    asked = {"currency": "USD", "amount_micro": 5 * 10**6}
    once = {"Idempotency-Key": "half of it"}
    place["payout_id"] = (await earner.call("POST", "/v1/payouts", asked, headers=once)).json()[
        "id"
    ]
    return earner


async def _decision(sessions: db.Sessions, project_id: UUID, earner_id: UUID) -> str:
    """That the earner gets no more tasks."""
    async with db.transaction(sessions) as session:
        decision = Decision(
            project_id=project_id,
            earner_id=earner_id,
            effect=Effect.STOPPED,
            rule=Rule.BELOW_MINIMUM_TRUST,
            reason="You missed 4 of 4 check tasks.",
            numbers={"trust": 0.3},
            policy_version=1,
        )
        session.add(decision)
        await session.flush()
        return str(decision.id)


async def _key(owner: As, organisation_id: str, scopes: Any) -> Any:
    return await owner.post(
        f"/v1/organisations/{organisation_id}/api-keys",
        {"name": "a program", "scopes": sorted(scopes)},
    )


async def _invitation(owner: As, organisation_id: str) -> Any:
    return await owner.post(
        f"/v1/organisations/{organisation_id}/invitations", {"role": "reviewer", "note": "Ada"}
    )


async def _narrow_keys(owner: As, organisation_id: str) -> dict[str, str]:
    """A key for each scope that may do nothing else."""
    return {
        f"{scope} key": (await _key(owner, organisation_id, {scope}))["key"] for scope in KEY_SCOPES
    }


async def _spoilt(world: World, **changes: Any) -> str:
    """A session token that was good once."""
    someone = await world.person("operator")
    async with db.transaction(world.sessions) as session:
        one = Session.token_sha256 == digest(someone.token)
        await session.execute(update(Session).where(one).values(**changes))
    return someone.token


async def _disabled(world: World) -> str:
    someone = await world.person("operator")
    async with db.transaction(world.sessions) as session:
        one = Person.email == someone.email
        await session.execute(update(Person).where(one).values(disabled_at=func.now()))
    return someone.token


def nowhere(like: Place) -> Place:
    """Ids of the same form of which none exists."""
    return {
        name: uuid4().hex * 2 if name == "dataset_id" else str(uuid4())
        for name in like
        if name.endswith("_id")
    } | {"transfer_id": 10**9, "items_sha256": "0" * 64, "fence": like["fence"]}
