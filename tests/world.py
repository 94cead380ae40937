"""People, projects and images made through the front door, for tests that are about later."""

import io
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, ClassVar
from uuid import UUID

import numpy as np
from httpx2 import AsyncClient
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import passwords, service, tokens
from tessera.accounts.models import Membership, Organisation, PersonKind, Role, Session
from tessera.kernel import db
from tessera.storage.s3 import Store
from tests.client import As, Work, browser

PASSWORD = "correct horse battery staple"
BOX_SCHEMA = {
    "classes": [
        {"id": 1, "name": "coin", "colour": "#e6194b"},
        {"id": 2, "name": "cup", "colour": "#3cb44b"},
    ]
}
_numbers = count(1)


def photograph(width: int = 256, height: int = 256, *, seed: int | None = None) -> bytes:
    """A JPEG of soft noise; each seed its own."""
    rng = np.random.default_rng(next(_numbers) if seed is None else seed)
    small = rng.integers(0, 255, (max(height // 16, 1), max(width // 16, 1), 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


class World:
    """Makes what a test needs; what it makes is plain JSON as the API returned it."""

    _password_hash: ClassVar[str | None] = None

    def __init__(self, http: AsyncClient, sessions: db.Sessions, store: Store, work: Work) -> None:
        self.http = http
        self.sessions = sessions
        self.store = store
        self.work = work

    async def person(self, kind: str) -> As:
        """Somebody new, logged in. Argon2 is paid once per run: all have the same password."""
        if World._password_hash is None:
            World._password_hash = await passwords.hashed(PASSWORD)
        email = f"{kind}{next(_numbers)}@example.org"
        async with db.transaction(self.sessions) as session:
            person = await service.register(
                session,
                email=email,
                password_hash=World._password_hash,
                name=f"{kind} {email}",
                kind=PersonKind(kind),
            )
            token = log_in(session, person.id)
        someone = As(self.http, token)
        someone.email = email
        return someone

    async def earner(self) -> As:
        return await self.person("earner")

    async def operator(self) -> tuple[As, str]:
        """An operator and the id of their organisation."""
        operator = await self.person("operator")
        organisation = await operator.post("/v1/organisations", {"name": "Mosaic Ltd"})
        return operator, organisation["id"]

    async def dataset(self, operator: As, project: str, **asked: Any) -> dict[str, bytes]:
        """Build a version of a project, given by its path, and download its files, by name."""
        run = await operator.post(f"{project}/datasets", asked)
        await self.work.jobs()
        run = await operator.get(f"/v1/dataset-runs/{run['id']}")
        assert run["state"] == "done", run
        links = (await operator.get(f"/v1/datasets/{run['dataset_id']}/files"))["links"]
        async with browser() as http:
            return {each["path"]: (await http.get(each["url"])).content for each in links}

    async def member(self, owner: As, organisation_id: str, role: Role) -> As:
        member = await self.person("operator")
        await joins(member, owner, organisation_id, role)
        return member

    async def finance(self, count: int = 2) -> list[As]:
        """People of the platform's finance."""
        people = [await self.person("operator") for _ in range(count)]
        async with db.transaction(self.sessions) as session:
            ids = [(await service.caller_of(session, p.token)).person_id for p in people]
            is_there = select(Organisation.id).where(Organisation.is_platform)
            platform_id, new = await session.scalar(is_there), ids
            if platform_id is None:
                founder, *new = ids
                founded = await service.found_organisation(
                    session, name="Platform", owner_id=founder, is_platform=True
                )
                platform_id = founded.id
            session.add_all(
                Membership(organisation_id=platform_id, person_id=id_, role=Role.FINANCE)
                for id_ in new
            )
        return people

    async def deposit(self, organisation_id: str, micro: int, currency: str = "USD") -> As:
        """Fund an organisation; returns the finance person who recorded it."""
        (finance,) = await self.finance(1)
        await finance.post(
            "/v1/finance/deposits",
            {
                "organisation_id": organisation_id,
                "amount_micro": micro,
                "currency": currency,
                "reference": f"bank {next(_numbers)}",
            },
        )
        return finance

    async def project(self, operator: As, organisation_id: str, **changes: Any) -> dict[str, Any]:
        body = {
            "name": "Coins and cups",
            "kind": "box",
            "label_schema": BOX_SCHEMA,
            **({} if "follows" in changes else {"slicing": {"whole": True}}),
            "quality": {"min_overlap": 1, "max_overlap": 3, "redo": 1},
            "currency": "USD",
            "price_micro": 20_000,
            **changes,
        }
        made: dict[str, Any] = await operator.post(
            f"/v1/organisations/{organisation_id}/projects", body
        )
        return made

    async def images(
        self, operator: As, project_id: str, files: Sequence[tuple[str, bytes]]
    ) -> list[dict[str, Any]]:
        """Upload files and have them checked and sliced; returns all images of the project."""
        registered = await operator.post(
            f"/v1/projects/{project_id}/images",
            {"files": [{"name": name, "content_type": "image/jpeg"} for name, _ in files]},
        )
        async with browser() as outside:
            for upload, (_, data) in zip(registered["uploads"], files, strict=True):
                put = await outside.put(
                    upload["put_url"], content=data, headers={"Content-Type": "image/jpeg"}
                )
                assert put.is_success, put.text
        await operator.post(
            f"/v1/projects/{project_id}/images/uploaded",
            {"image_ids": [upload["image_id"] for upload in registered["uploads"]]},
        )
        await self.work.jobs()
        page = await operator.get(f"/v1/projects/{project_id}/images?limit=200")
        items: list[dict[str, Any]] = page["items"]
        return items

    async def launched(
        self, images: int = 1, *, gold: int = 0, **changes: Any
    ) -> tuple[As, dict[str, Any]]:
        """A funded project that was launched, with whole images as tasks; some of them gold."""
        operator, organisation_id = await self.operator()
        await self.deposit(organisation_id, 10**9)
        project = await self.project(operator, organisation_id, **changes)
        names = [f"{number:03}.jpg" for number in range(images + gold)]
        await self.images(operator, project["id"], [(name, photograph()) for name in names])
        if gold:
            await operator.post(f"/v1/projects/{project['id']}/gold", {"coco": coco(names[:gold])})
        await operator.post(f"/v1/projects/{project['id']}/launch")
        await self.work.jobs()
        return operator, project


def log_in(session: AsyncSession, person_id: UUID) -> str:
    """A token as after a login, without the password: Argon2 takes longer than most calls."""
    token = tokens.new(tokens.SESSION)
    session.add(
        Session(
            token_sha256=tokens.digest(token),
            person_id=person_id,
            expires_at=func.now() + timedelta(days=14),
            revoked_at=None,
        )
    )
    return token


async def joins(
    someone: As, owner: As, organisation_id: str, role: Role, *, status: int = 200
) -> Any:
    """Somebody accepts an owner's invitation."""
    invited = await owner.post(
        f"/v1/organisations/{organisation_id}/invitations", {"role": role.value}
    )
    return await someone.post("/v1/invitations/accept", {"token": invited["token"]}, status=status)


def coco(names: Sequence[str], box: Sequence[float] = (20, 20, 60, 40)) -> dict[str, Any]:
    """Known answers: one coin in each of some images of 256 x 256."""
    return {
        "images": [
            {"id": i, "file_name": name, "width": 256, "height": 256}
            for i, name in enumerate(names)
        ],
        "categories": [{"id": 7, "name": "coin"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 7, "bbox": list(box)} for i in range(len(names))
        ],
    }


RIGHT = {"objects": [{"class": 1, "box": [20, 20, 80, 60]}]}
WRONG = {"objects": [{"class": 2, "box": [100, 100, 250, 250]}]}


def answers(leases: Sequence[dict[str, Any]], value: dict[str, Any]) -> dict[str, Any]:
    """A body that answers leases, all alike."""
    return {
        "answers": [
            {
                "lease_id": lease["lease_id"],
                "fence": lease["fence"],
                "outcome": "answered",
                "answer": value,
            }
            for lease in leases
        ]
    }
