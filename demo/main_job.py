"""The main job as a script: photographs in, a paid-for dataset out, all of it over HTTP."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np
from httpx2 import AsyncClient

from api.admin import add_to_platform
from demo import crowd
from demo.asked import Asked, Scene
from demo.client import Person, all_items, images_done, run_done, sign_up, upload
from demo.crowd import Labeller, key_of
from demo.measures import Measured, Outcome, Pair
from demo.pictures import Picture
from demo.subjects import Checked
from demo.ways import FIXED, WAYS, Way
from tessera.kernel import db
from tessera.kinds import LabelSchema, Question, Size, TileFrame, Window, shown

DEPOSIT_MICRO = 2_000_000_000
QUIET_SECONDS = 3.0
"""Without another task, and all have come."""


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


async def label(
    office: Office, people: Sequence[Labeller], kind: str, seed: int, report: Report
) -> list[dict[str, Any]]:
    """One kind the whole way, from pictures to a dataset that is measured. Returns its projects."""
    projects, measured = await _labelled(office, people, WAYS[kind], seed, report)
    report.facts |= measured.facts
    report.facts.setdefault("kinds", {})[kind] = {
        "metric": WAYS[kind].metric,
        "value": round(measured.value, 4),
        "floor": WAYS[kind].floor,
        "objects": measured.objects,
    }
    return projects


async def stop_early(
    office: Office,
    people: Sequence[Labeller],
    until_sure: Mapping[str, Any],
    seed: int,
    report: Report,
) -> list[dict[str, Any]]:
    """What asking until sure has saved, beside asking six of everything. Returns the projects."""
    projects, measured = await _labelled(office, people, FIXED, seed, report)
    asked = [await _answers(office, each) for each in (until_sure, projects[0])]
    report.facts |= {
        "answers_until_sure": asked[0],
        "answers_always_six": asked[1],
        "right_until_sure": report.facts["kinds"]["classify"]["value"],
        "right_always_six": round(measured.value, 4),
    }
    say(f"· asking until sure took {asked[0]} answers, asking six of everything {asked[1]}")
    return projects


async def _answers(office: Office, project: Mapping[str, Any]) -> int:
    told = await office.operator.get(f"/v1/projects/{project['id']}/quality/dry-run")
    answers: int = told["answers"]
    return answers


async def _labelled(
    office: Office, people: Sequence[Labeller], way: Way, seed: int, report: Report
) -> tuple[list[dict[str, Any]], Measured]:
    kind = way.kind
    say(f"· {kind}: preparing the pictures of {way.name!r}")
    pictures = await asyncio.to_thread(way.pictures, seed)
    stages, projects = [*([] if way.after is None else [way.after]), way], list[dict[str, Any]]()
    for stage in stages:
        follows = {"follows": {"project_id": projects[-1]["id"]}} if projects else {}
        projects.append(await new_project(office, stage.project() | follows))
    views = await _bring_in(office, projects[0], pictures, report)
    await _tell(office, projects[0], stages[0], pictures, seed)
    for stage, project in zip(stages, projects, strict=True):
        if project is not projects[0]:
            await _passed_on(office, project, report)
        some = crowd.some(people, stage.people, seed=f"{seed} {stage.kind}")
        scenes = {key: stage.asked.scene(*view) for key, view in views.items()}
        await _run(office, project, some, stage.asked, scenes, report)
    files = await _dataset(office, projects[-1], report)
    pairs = await _pairs(office, *projects) if kind == "join" else ()
    measured = way.measure([e for e in pictures if not e.is_gold], Outcome(files, pairs))
    say(f"· {kind}: {way.metric} {measured.value:.4f}, {measured.objects} objects")
    return projects, measured


async def new_project(office: Office, about: Mapping[str, Any]) -> dict[str, Any]:
    path = f"/v1/organisations/{office.organisation_id}/projects"
    made: dict[str, Any] = await office.operator.post(path, dict(about))
    return made


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


async def _bring_in(
    office: Office, project: Mapping[str, Any], pictures: Sequence[Picture], report: Report
) -> dict[str, tuple[Picture, Question]]:
    """Upload, wait for the slices, and note what each tile is of."""
    started = time.monotonic()
    report.waits_for = f"the images of {project['name']!r} to be sliced"
    by_name = {each.name: each for each in pictures}
    files = {name: each.jpeg for name, each in by_name.items()}
    await upload(office.operator, project["id"], files, content_type="image/jpeg")
    images = await images_done(office.operator, project["id"])
    views = dict[str, tuple[Picture, Question]]()
    _, schema = shown(project["kind"], LabelSchema.parse(project["label_schema"]))
    for image in images:
        if image["state"] != "ready":
            raise RuntimeError(f"{image['name']}: {image['problem']}")
        size = Size(image["width"], image["height"])
        for tile in await all_items(office.operator, f"/v1/images/{image['id']}/tiles"):
            frame = TileFrame(Window(*tile["window"]), Window(*tile["core"]), size)
            views[key_of(tile["url"])] = by_name[image["name"]], Question(schema, frame)
            report.add("tiles", 1)
    report.add("images", len(images))
    say(f"· {len(images)} images in {len(views)} tiles, {time.monotonic() - started:.0f} s")
    if project["kind"] == "verify":
        return views  # there is nothing to be asked before there are predictions
    report.waits_for = f"the tiles of {project['name']!r} to become tasks"
    while (await _progress(office, project))["waiting"] < len(views):
        await asyncio.sleep(0.2)
    return views


async def _tell(
    office: Office, project: Mapping[str, Any], way: Way, pictures: Sequence[Picture], seed: int
) -> None:
    """Bring in what a model makes of the pictures, and what is known of some of them."""
    path = f"/v1/projects/{project['id']}"
    if isinstance(way.asked, Checked):
        ids = [each["id"] for each in project["label_schema"]["classes"]]
        said = [{"file_name": each.name, "objects": way.asked.predicted(each, ids, seed)}
                for each in pictures]  # fmt: skip
        await office.operator.post(f"{path}/predictions", {"images": said})
    gold = [{"file_name": each.name, "objects": way.asked.known(each)}
            for each in pictures if each.is_gold]  # fmt: skip
    taken = await office.operator.post(f"{path}/gold", {"images": gold})
    say(f"· {sum(each['gold_tasks'] for each in taken)} gold tasks")


async def _passed_on(office: Office, project: Mapping[str, Any], report: Report) -> None:
    """Wait for the tasks that come of the stage before; nobody says which is the last."""
    report.waits_for = f"tasks of {project['name']!r}"
    before, now = -1, 0
    while now == 0 or now != before:
        await asyncio.sleep(QUIET_SECONDS)
        before, now = now, (await _progress(office, project))["waiting"]


async def _pairs(
    office: Office, first: Mapping[str, Any], joined: Mapping[str, Any]
) -> Sequence[Pair]:
    """What a project was about that joins the lines of another."""
    images = await all_items(office.operator, f"/v1/projects/{first['id']}/images")
    names = {each["id"]: each["name"] for each in images}
    pairs = []
    for each in await all_items(office.operator, f"/v1/projects/{joined['id']}/tasks"):
        task = await office.operator.get(f"/v1/tasks/{each['id']}")
        corner = task["tile"]["window"][:2]
        ends = (np.array(task["subject"][end]["line"]) + corner for end in ("first", "second"))
        pairs.append(Pair(names[task["tile"]["image_id"]], *ends))
    return pairs


async def _run(
    office: Office,
    project: Mapping[str, Any],
    people: Sequence[Labeller],
    asked: Asked,
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
        tasks.create_task(crowd.work(people, project, asked, scenes, done))
        await _watch(office, project, asked, scenes, report)
        done.set()
    await office.operator.post(f"{path}/complete")
    report.waits_for = f"the unspent reserve of {project['name']!r} to come back"
    while not await _released(office, project):
        await asyncio.sleep(0.5)
    await crowd.note_stopped(people, project["id"])


async def _watch(
    office: Office,
    project: Mapping[str, Any],
    asked: Asked,
    scenes: Mapping[str, Scene],
    report: Report,
) -> None:
    """Say how far it is, review what needs it, until every task is settled."""
    said = -1
    while True:
        tasks = await _progress(office, project)
        if tasks["review"]:
            report.add("reviewed", await _review(office, project, asked, scenes))
        total = tasks["settled"] + tasks["open"] + tasks["review"] + tasks["waiting"]
        if total == tasks["settled"]:
            return
        report.waits_for = f"the tasks of {project['name']!r} to be settled: {tasks}"
        if tasks["settled"] // 50 != said:
            said = tasks["settled"] // 50
            say(f"  {tasks['settled']} of {total} tasks settled, {tasks['review']} in review")
        await asyncio.sleep(0.5)


async def _review(
    office: Office, project: Mapping[str, Any], asked: Asked, scenes: Mapping[str, Scene]
) -> int:
    """The reviewer looks, and knows."""
    waiting = await all_items(office.operator, f"/v1/projects/{project['id']}/review")
    for task in waiting:
        detail = await office.operator.get(f"/v1/tasks/{task['id']}")
        scene = replace(scenes[key_of(detail["tile"]["url"])], subject=detail["subject"])
        label = asked.right(scene)
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


async def _dataset(office: Office, project: Mapping[str, Any], report: Report) -> dict[str, bytes]:
    """Build twice, verify, and fetch the files, by name."""
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
    async with AsyncClient(timeout=60) as outside:
        fetched = {link["path"]: await outside.get(link["url"]) for link in files["links"]}
    return {path: each.raise_for_status().content for path, each in fetched.items()}


def iban(number: int) -> str:
    """A German account number that passes the check (ISO 7064 MOD 97-10) and is nobody's."""
    account = f"{number:018}"
    check = 98 - int(account + "131400") % 97
    return f"DE{check:02}{account}"


def _usd(micro: int) -> str:
    return f"{micro / 1e6:,.2f} USD"
