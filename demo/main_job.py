"""The main job as a script: photographs in, a paid-for dataset out, all of it over HTTP."""

import asyncio
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from httpx2 import AsyncClient

from api.admin import add_to_platform
from demo import crowd, score
from demo.client import Person, all_items, images_done, run_done, sign_up, upload
from demo.crowd import Labeller, Scene, key_of
from demo.mosaic import coco, gold_scenes, main_scene
from demo.photos import Single, singles
from demo.simulated import visible_truth
from demo.truth import Labelled, boxes, classes
from tessera.kernel import db

SEED = 20
DEPOSIT_MICRO = 2_000_000_000
SINGLES_OF_EACH, GOLD_SINGLES = 6, 24
"""A random click is right one time in nine classes. Of clickers who meet 12 gold, 20 in 1,000 are
not stopped; of those who meet 24, less than one is."""
QUALITY = {
    "gold_share": 0.1,
    "min_overlap": 3,
    "max_overlap": 6,
    "redo": 4,
    "target_confidence": 0.95,
    "minimum_trust": 0.6,
}


def say(line: str) -> None:
    print(line, flush=True)


@dataclass
class Office:
    """The people of the story who are not earners."""

    operator: Person
    organisation_id: str
    finance: Sequence[Person]


@dataclass
class Report:
    """What `var/demo/report.json` says; others read it: the names stay."""

    facts: dict[str, Any] = field(default_factory=dict)
    waits_for: str = "people to sign up"
    """What is being waited for, in case it never comes."""

    def add(self, name: str, amount: int) -> None:
        self.facts[name] = self.facts.get(name, 0) + amount


async def open_office(http: AsyncClient, sessions: db.Sessions) -> Office:
    """Sign operator and finance up, found the organisation, and fund it; again changes nothing."""
    operator = await sign_up(http, "operator@demo.example", name="Olga", kind="operator")
    finance = [
        await sign_up(http, f"finance{n}@demo.example", name=f"Finn {n}", kind="operator")
        for n in (1, 2)
    ]
    ids = [UUID((await person.get("/v1/me"))["person_id"]) for person in finance]
    async with db.transaction(sessions) as session:
        for person_id in ids:
            await add_to_platform(session, person_id=person_id)
    mine = await operator.get("/v1/organisations")
    organisation = (
        mine[0] if mine else await operator.post("/v1/organisations", {"name": "Mosaic Demo"})
    )
    await finance[0].post(
        "/v1/finance/deposits",
        {
            "organisation_id": organisation["id"],
            "amount_micro": DEPOSIT_MICRO,
            "currency": "USD",
            "reference": "demo transfer 1",
        },
    )
    return Office(operator, organisation["id"], finance)


async def label_boxes(office: Office, people: Sequence[Labeller], report: Report) -> dict[str, Any]:
    """One large mosaic, sliced and boxed; smaller ones are gold. Returns the dataset's project."""
    main, gold = main_scene(SEED), gold_scenes(SEED)
    project = await box_project(office, "Things in a mosaic", {"tile": 1024, "margin": 256})
    with tempfile.TemporaryDirectory() as folder:
        say(f"· painting a mosaic of {main.width:,} x {main.height:,} px and {len(gold)} for gold")
        files = {scene.file_name: scene.write(Path(folder)).read_bytes() for scene in [main, *gold]}
    truth = {scene.file_name: scene.objects() for scene in [main, *gold]}
    scenes = await _bring_in(office, project, files, truth, report)
    taken = await office.operator.post(f"/v1/projects/{project['id']}/gold", {"coco": coco(gold)})
    say(f"· {sum(each['gold_tasks'] for each in taken)} gold tasks")
    await _run(office, project, people, scenes, report)
    found = await _dataset(office, project, report)
    by_name = {image["file_name"]: image["id"] for image in found["images"]}
    drawn = [
        Labelled(each["category_id"], _corners(each["bbox"]))
        for each in found["annotations"]
        if each["image_id"] == by_name[main.file_name]
    ]
    result = score.boxes(truth[main.file_name], drawn)
    report.facts |= {
        "objects": len(truth[main.file_name]),
        "box_precision": round(result.precision, 4),
        "box_recall": round(result.recall, 4),
        "box_mean_iou": round(result.mean_iou, 4),
    }
    return project


async def box_project(office: Office, name: str, slicing: dict[str, Any]) -> dict[str, Any]:
    """A project that asks for boxes around the things of `demo.truth`."""
    categories = boxes()["categories"]
    return await _project(
        office,
        name=name,
        kind="box",
        instructions="Draw a tight box around each of these things:\n\n"
        + "\n".join(f"- **{each['name']}**: {each['note']}" for each in categories),
        label_schema={"classes": [_class(each) for each in categories]},
        slicing=slicing,
        price_micro=30_000,
    )


async def label_classes(
    office: Office, people: Sequence[Labeller], report: Report
) -> dict[str, Any]:
    """Whole photographs, one class each."""
    pictures = singles(SEED, SINGLES_OF_EACH)
    random.Random(SEED).shuffle(pictures)
    known = classes()
    project = await _project(
        office,
        name="What is it?",
        kind="classify",
        instructions=known["question"],
        label_schema={"classes": [_class(each) for each in known["classes"]]},
        slicing={"whole": True},
        price_micro=5_000,
        quality={**QUALITY, "gold_share": 0.5},  # or it is over before the last is found out
    )
    files = {each.file_name: each.jpeg for each in pictures}
    nowhere = (0.0, 0.0, 1.0, 1.0)
    truth = {each.file_name: [Labelled(each.class_id, nowhere)] for each in pictures}
    scenes = await _bring_in(office, project, files, truth, report)
    gold = pictures[:GOLD_SINGLES]
    await office.operator.post(
        f"/v1/projects/{project['id']}/gold", {"coco": _class_gold(gold, known["classes"])}
    )
    await _run(office, project, people, scenes, report)
    found = await _dataset(office, project, report)
    names = {image["id"]: image["file_name"] for image in found["images"]}
    labels: dict[str, list[int]] = {}
    for each in found["image_labels"]:
        labels.setdefault(names[each["image_id"]], []).append(each["category_id"])
    rest = {each.file_name: each.class_id for each in pictures[GOLD_SINGLES:]}
    report.facts["label_accuracy"] = round(score.accuracy(rest, labels), 4)
    return project


async def pay_out(office: Office, people: Sequence[Labeller], report: Report) -> None:
    """Everybody asks for their money; two people of finance send it; one payout comes back."""
    report.waits_for = "the payout"
    creator, approver = office.finance
    for number, each in enumerate(people):
        money = await each.person.get("/v1/earnings/balance")
        if money["available_micro"].get("USD", 0) < 1_000_000:
            continue
        await each.person.put(
            "/v1/payout-destination",
            {"rail": "manual", "details": {"holder": each.person.email.split("@")[0],
                                           "iban": iban(number)}},
        )  # fmt: skip
        await each.person.post("/v1/payouts", {"currency": "USD"})
    batch = await creator.post("/v1/finance/payout-batches", {"currency": "USD"})
    path = f"/v1/finance/payout-batches/{batch['id']}"
    await approver.post(f"{path}/approve", {"items_sha256": batch["items_sha256"]})
    file = await creator.post_for_bytes(f"{path}/export")
    items = await all_items(creator, f"{path}/items")
    bounced, *paid = items
    await creator.post(f"{path}/settled", {"payout_ids": [item["id"] for item in paid]})
    await creator.post(f"{path}/items/{bounced['id']}/returned", {"reason": "Account closed"})
    report.facts["paid_out_micro"] = sum(item["amount_micro"] for item in paid)
    say(f"· paid out {len(paid)} earners, one came back; file of {len(file):,} bytes for the bank")


async def _project(office: Office, **about: Any) -> dict[str, Any]:
    made: dict[str, Any] = await office.operator.post(
        f"/v1/organisations/{office.organisation_id}/projects",
        {"quality": QUALITY, "currency": "USD", "lease_seconds": 600, **about},
    )
    return made


async def _bring_in(
    office: Office,
    project: Mapping[str, Any],
    files: dict[str, bytes],
    truth: Mapping[str, Sequence[Labelled]],
    report: Report,
) -> dict[str, Scene]:
    """Upload, wait for the slices, and note what each tile truly shows."""
    started = time.monotonic()
    report.waits_for = f"the images of {project['name']!r} to be sliced"
    await upload(office.operator, project["id"], files, content_type="image/jpeg")
    images = await images_done(office.operator, project["id"])
    scenes: dict[str, Scene] = {}
    for image in images:
        if image["state"] != "ready":
            raise RuntimeError(f"{image['name']}: {image['problem']}")
        for tile in await all_items(office.operator, f"/v1/images/{image['id']}/tiles"):
            scenes[key_of(tile["url"])] = Scene(truth[image["name"]], tuple(tile["window"]))
            report.add("tiles", 1)
    report.add("images", len(images))
    say(f"· {len(images)} images in {len(scenes)} tiles, {time.monotonic() - started:.0f} s")
    report.waits_for = f"the tiles of {project['name']!r} to become tasks"
    while (await _progress(office, project))["waiting"] < len(scenes):
        await asyncio.sleep(0.2)
    return scenes


async def _run(
    office: Office,
    project: Mapping[str, Any],
    people: Sequence[Labeller],
    scenes: Mapping[str, Scene],
    report: Report,
) -> None:
    """Launch, let the crowd work, decide what they cannot, and complete."""
    path = f"/v1/projects/{project['id']}"
    plan = await office.operator.get(f"{path}/estimate")
    best, expected, worst = (
        _usd(plan[f"{which}_micro"]) for which in ("best", "expected", "worst")
    )
    say(f"· launching {plan['tasks']} tasks: {best} at best, {expected} expected, {worst} at worst")
    report.add("worst_case_micro", plan["worst_micro"])
    report.add("tasks", plan["tasks"])
    report.add("reviewed", 0)  # said even if nothing is
    await office.operator.post(f"{path}/launch")
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.work(people, project, scenes, done))
        await _watch(office, project, scenes, report)
        done.set()
    await office.operator.post(f"{path}/complete")
    report.waits_for = f"the unspent reserve of {project['name']!r} to come back"
    while not await _released(office, project):
        await asyncio.sleep(0.5)
    await crowd.note_stopped(people, project["id"])


async def _watch(
    office: Office, project: Mapping[str, Any], scenes: Mapping[str, Scene], report: Report
) -> None:
    """Say how far it is, review what needs it, until every task is settled."""
    said = -1
    while True:
        tasks = await _progress(office, project)
        if tasks["review"]:
            report.add("reviewed", await _review(office, project, scenes))
        total = tasks["settled"] + tasks["open"] + tasks["review"] + tasks["waiting"]
        if total == tasks["settled"]:
            return
        report.waits_for = f"the tasks of {project['name']!r} to be settled: {tasks}"
        if tasks["settled"] // 50 != said:
            said = tasks["settled"] // 50
            say(f"  {tasks['settled']} of {total} tasks settled, {tasks['review']} in review")
        await asyncio.sleep(0.5)


async def _review(office: Office, project: Mapping[str, Any], scenes: Mapping[str, Scene]) -> int:
    """The reviewer looks, and knows."""
    waiting = await all_items(office.operator, f"/v1/projects/{project['id']}/review")
    for task in waiting:
        detail = await office.operator.get(f"/v1/tasks/{task['id']}")
        scene = scenes[key_of(detail["tile"]["url"])]
        if project["kind"] == "box":
            label: dict[str, Any] = {
                "objects": [
                    {"class": each.class_id, "box": list(each.box), "attributes": {}}
                    for each in visible_truth(scene.objects, scene.window)
                ]
            }
        else:
            label = {"classes": [each.class_id for each in scene.objects]}
        await office.operator.post(f"/v1/tasks/{task['id']}/review", {"label": label})
    return len(waiting)


async def _progress(office: Office, project: Mapping[str, Any]) -> dict[str, int]:
    tasks: dict[str, int] = (await office.operator.get(f"/v1/projects/{project['id']}/progress"))[
        "tasks"
    ]
    return tasks


async def _released(office: Office, project: Mapping[str, Any]) -> bool:
    """Whether the unspent reserve has come back, so that everything is paid."""
    lines = await office.operator.get(
        f"/v1/organisations/{office.organisation_id}/statement?limit=200"
    )
    return any(line["reference"].startswith(f"release:{project['id']}") for line in lines["items"])


async def _dataset(office: Office, project: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Build twice, verify, and fetch the COCO file."""
    report.waits_for = f"the dataset of {project['name']!r}"
    ids = []
    for _ in range(2):
        run = await office.operator.post(f"/v1/projects/{project['id']}/datasets")
        run = await run_done(office.operator, run)
        if run["state"] != "done":
            raise RuntimeError(run["error"])
        ids.append(run["dataset_id"])
    check = await office.operator.post(f"/v1/datasets/{ids[0]}/verify")
    check = await run_done(office.operator, check)
    verified = check["state"] == "done" and check["findings"] == [] and ids[0] == ids[1]
    report.facts["dataset_verified"] = report.facts.get("dataset_verified", True) and verified
    report.facts["dataset_id"] = ids[0]
    report.facts.setdefault("dataset_ids", []).append(ids)
    files = await office.operator.get(f"/v1/datasets/{ids[0]}/files")
    url = next(link["url"] for link in files["links"] if link["path"] == "coco.json")
    async with AsyncClient(timeout=60) as outside:
        response = await outside.get(url)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


def iban(number: int) -> str:
    """A German account number that passes the check (ISO 7064 MOD 97-10) and is nobody's."""
    account = f"{number:018}"
    check = 98 - int(account + "131400") % 97
    return f"DE{check:02}{account}"


def _class(category: Mapping[str, Any]) -> dict[str, Any]:
    return {name: category[name] for name in ("id", "name", "colour")}


def _class_gold(pictures: Sequence[Single], categories: Sequence[Any]) -> dict[str, Any]:
    return {
        "images": [
            {
                "id": number,
                "file_name": each.file_name,
                "width": each.width,
                "height": each.height,
            }
            for number, each in enumerate(pictures)
        ],
        "categories": [{"id": each["id"], "name": each["name"]} for each in categories],
        "annotations": [
            {"id": number, "image_id": number, "category_id": each.class_id}
            for number, each in enumerate(pictures)
        ],
    }


def _corners(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, width, height = bbox
    return left, top, left + width, top + height


def _usd(micro: int) -> str:
    return f"{micro / 1e6:,.2f} USD"
