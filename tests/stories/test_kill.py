"""The whole way of the main job while its programs are killed -9, again and again.

What was acknowledged is there, once, with one earning; nothing is doubled, stuck or lost.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from api import admin
from deploy.embedded.stack import Servers
from tessera.accounts.models import PersonKind
from tessera.kernel import db, jobs
from tessera.kernel.settings import Settings
from tessera.storage import keys
from tests.quality.court import ANIMALS, CAT, DOG
from tests.quality.facts import broken
from tests.stories.killing import Siege, besieged
from tests.stories.patience import Crowd, Patient, put
from tests.stories.processes import QUICK, eventually, idle
from tests.world import photograph
from workers.runner import Pace

FUNDS = 10**12
EARNERS = 7
CENT = 10_000


@dataclass(frozen=True)
class Size:
    images: int
    side: int
    kills: int
    """At most, in each act."""
    every: tuple[float, float]
    """Seconds between two of them."""


@pytest.mark.long
async def test_nothing_is_lost_or_doubled_when_programs_are_killed(
    servers: Servers, settings: Settings, tmp_path: Path
) -> None:
    size = Size(images=3, side=300, kills=5, every=(0.2, 0.8))
    async with besieged(servers, settings, tmp_path, pace=QUICK, workers=2) as siege:
        await whole_way(siege, random.Random(1), size)
        assert all(worker.deaths >= 2 for worker in siege.workers)


@pytest.mark.long
async def test_nor_in_a_long_siege_of_the_programs_as_they_are(
    servers: Servers, settings: Settings, tmp_path: Path
) -> None:
    size = Size(images=8, side=900, kills=10, every=(1, 6))
    async with besieged(servers, settings, tmp_path, pace=Pace(), workers=2) as siege:
        await whole_way(siege, random.Random(2), size)
        assert all(worker.deaths >= 3 for worker in siege.workers)


async def whole_way(siege: Siege, rng: random.Random, size: Size) -> None:
    operator, finance, project = await funded(siege)
    path = f"/v1/projects/{project['id']}"
    crowd = Crowd(project["id"])
    async with siege.killing(rng, times=size.kills, every=size.every):
        await upload(operator, path, size)
        (gold,) = await operator.post(f"{path}/gold", {"coco": whole_of("0.jpg", size.side)})
        assert gold["gold_tasks"] > 1
        await operator.post(f"{path}/launch")
    people = [await siege.person(PersonKind.EARNER) for _ in range(EARNERS)]
    async with siege.killing(rng, times=size.kills, every=size.every):
        await labelled(people, operator, path, crowd, rng)
    async with siege.killing(rng, times=size.kills, every=size.every):
        early = await ran(operator, f"{path}/datasets")
        await operator.post(f"{path}/complete")
        await eventually(lambda: given_back(siege))
        first = await ran(operator, f"{path}/datasets")
    async with siege.killing(rng, times=size.kills, every=(0.1, 0.5)):  # it takes a second or two
        await paid_out(people, finance)
    again = await ran(operator, f"{path}/datasets")
    assert again["dataset_id"] == first["dataset_id"], "the same answers, the same bytes"
    for dataset_id in {early["dataset_id"], first["dataset_id"]}:
        verified = await ran(operator, f"/v1/datasets/{dataset_id}/verify")
        assert verified["findings"] == []
    await eventually(lambda: idle(siege.sessions))
    assert crowd.stopped <= 1, "nobody but the one who answers wrongly"
    assert crowd.refused == []
    await is_whole(siege, crowd)


async def funded(siege: Siege) -> tuple[Patient, tuple[Patient, Patient], dict[str, Any]]:
    """An operator with money and a project, and two people of finance."""
    operator = await siege.person(PersonKind.OPERATOR)
    maker, checker = [await siege.person(PersonKind.OPERATOR) for _ in range(2)]
    for finance in (maker, checker):
        person_id = (await finance.get("/v1/me"))["person_id"]
        async with db.transaction(siege.sessions) as session:
            await admin.add_to_platform(session, person_id=UUID(person_id))
    organisation = await operator.post("/v1/organisations", {"name": "Besieged Ltd"})
    deposit = {
        "organisation_id": organisation["id"],
        "amount_micro": FUNDS,
        "currency": "USD",
        "reference": "bank 1",
    }
    await maker.post("/v1/finance/deposits", deposit)
    project = {
        "name": "Cats",
        "kind": "classify",
        "label_schema": ANIMALS,
        "slicing": {"tile": 128, "margin": 8},
        "quality": {"min_overlap": 2, "max_overlap": 5, "redo": 1},
        "currency": "USD",
        "price_micro": 1_333_333,
    }
    made = await operator.post(f"/v1/organisations/{organisation['id']}/projects", project)
    return operator, (maker, checker), made


async def upload(operator: Patient, path: str, size: Size) -> None:
    names = [f"{number}.jpg" for number in range(size.images)]
    files = [{"name": name, "content_type": "image/jpeg"} for name in names]
    registered = await operator.post(f"{path}/images", {"files": files})
    for link in registered["uploads"]:
        await put(link["put_url"], photograph(size.side, size.side))
    ids = [link["image_id"] for link in registered["uploads"]]
    await operator.post(f"{path}/images/uploaded", {"image_ids": ids})

    async def sliced() -> bool:
        progress = await operator.get(f"{path}/progress")
        return bool(progress["images"] == {"ready": size.images} and progress["tasks"]["waiting"])

    await eventually(sliced, patience=300)
    tiles = 0
    for image_id in ids:
        tiles += len((await operator.get(f"/v1/images/{image_id}/tiles?limit=200"))["items"])

    async def made() -> bool:
        return bool((await operator.get(f"{path}/progress"))["tasks"]["waiting"] == tiles)

    await eventually(made, patience=300)


def whole_of(name: str, side: int) -> dict[str, Any]:
    """One image shows cats all over."""
    return {
        "images": [{"id": 1, "file_name": name, "width": side, "height": side}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, side, side]},
        ],
    }


async def labelled(
    people: Sequence[Patient], operator: Patient, path: str, crowd: Crowd, rng: random.Random
) -> None:
    """A crowd works until every task is settled; one of them answers wrongly."""
    over = asyncio.Event()

    async def settled() -> bool:
        tasks = (await operator.get(f"{path}/progress"))["tasks"]
        return bool(tasks["settled"] and not tasks["open"] and not tasks["waiting"])

    async with asyncio.TaskGroup() as tasks:
        for number, person in enumerate(people):
            answer = CAT if number else DOG
            tasks.create_task(crowd.work(person, answer, over, random.Random(rng.random())))
        await eventually(settled, patience=300)
        over.set()


async def paid_out(people: Sequence[Patient], finance: tuple[Patient, Patient]) -> None:
    """Everybody who earned something is paid it, once."""
    maker, checker = finance
    asked = {}
    for person in people:
        account = {"rail": "manual", "details": {"holder": "Somebody", "account": "1234567890"}}
        await person.put("/v1/payout-destination", account)
        if money := (await person.get("/v1/earnings/balance"))["available_micro"]:
            payout = await person.post("/v1/payouts", {"currency": "USD"})
            asked[payout["id"]] = payout["amount_micro"]
            assert payout["amount_micro"] == money["USD"] - money["USD"] % CENT
    batch = await maker.post("/v1/finance/payout-batches", {"currency": "USD"})
    path = f"/v1/finance/payout-batches/{batch['id']}"
    await checker.post(f"{path}/approve", {"items_sha256": batch["items_sha256"]})
    file = (await checker.call("POST", f"{path}/export")).text
    assert all(file.count(payout_id) == 1 for payout_id in asked)
    await checker.post(f"{path}/settled", {"payout_ids": list(asked), "rail_reference": "bank 2"})
    for person in people:
        balance = await person.get("/v1/earnings/balance")
        assert balance["available_micro"].get("USD", 0) < CENT
        assert not any(balance["in_transit_micro"].values())
        states = [each["state"] for each in (await person.get("/v1/payouts"))["items"]]
        assert states in ([], ["settled"])


async def ran(operator: Patient, path: str) -> dict[str, Any]:
    """A build or a verification, done."""
    run = await operator.post(path)

    async def done() -> bool:
        return bool((await operator.get(f"/v1/dataset-runs/{run['id']}"))["state"] != "running")

    await eventually(done, patience=300)
    ended: dict[str, Any] = await operator.get(f"/v1/dataset-runs/{run['id']}")
    assert ended["state"] == "done", ended
    return ended


async def given_back(siege: Siege) -> bool:
    """Whether nothing is left in escrow but what may be contested yet."""
    async with db.reading(siege.sessions) as reader:
        left = await reader.execute(
            text(
                "SELECT (SELECT sum(balance_micro) FROM ledger_accounts WHERE kind = 'escrow') ="
                " (SELECT coalesce(sum(amount_micro + fee_micro), 0) FROM earnings"
                "  WHERE contestable_until > now())"
            )
        )
        return bool(left.scalar_one())


async def is_whole(siege: Siege, crowd: Crowd) -> None:
    assert await broken(siege.sessions) == []
    async with db.reading(siege.sessions) as reader:
        rows = await reader.execute(text("SELECT lease_id::text, value FROM answers"))
        kept = rows.all()
        assert len(kept) == len(dict(kept))
        assert crowd.acknowledged.items() <= dict(kept).items(), "nothing acknowledged is lost"
        earned = await reader.scalars(text("SELECT lease_id::text FROM earnings"))
        assert sorted(earned) == sorted(lease_id for lease_id, _ in kept)
        assert await jobs.held(reader) == []
        waiting = await reader.execute(
            text("SELECT count(*) FROM earnings WHERE state IN ('pending', 'approved')")
        )
        assert waiting.scalar_one() == 0
        tiles = set(await reader.scalars(text("SELECT key FROM tiles")))
        images = (
            await reader.execute(text("SELECT project_id, id, sha256, thumbnail_key FROM images"))
        ).all()
    assert {each.key async for each in siege.store.list("tiles/")} == tiles
    assert {each.key async for each in siege.store.list("uploads/")} == set()
    originals = {keys.original(project_id, id_, sha256) for project_id, id_, sha256, _ in images}
    assert {each.key async for each in siege.store.list("originals/")} == originals
    thumbnails = {each.thumbnail_key for each in images}
    assert {each.key async for each in siege.store.list("thumbnails/")} == thumbnails
