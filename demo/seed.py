"""`python -m demo.seed`: something to look at in a fresh Tessera; run again, it changes nothing."""

import asyncio
import sys
import tempfile
from pathlib import Path

from httpx2 import AsyncClient

from demo.client import PASSWORD, Person, all_items, images_done, sign_up, upload
from demo.main_job import Office, new_project, open_office, say
from demo.mosaic import coco, gold_scenes
from demo.photos import path_of
from demo.truth import boxes
from demo.ways import WAYS
from tessera.kernel import db
from tessera.kernel.settings import Settings

PROJECT = "Things in photographs"
SEED = 7
GOLD_SCENES = 4
EARNERS = 3


async def main() -> None:
    settings = Settings()
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    url = f"http://{host}:{settings.api_port}"
    engine = db.create_engine(str(settings.database_url), application_name="seed")
    async with AsyncClient(base_url=url, timeout=60) as http:
        office = await open_office(http, db.create_sessions(engine))
        earners = [
            await sign_up(http, f"earner{n}@demo.example", name=f"Erna {n}", kind="earner")
            for n in range(1, EARNERS + 1)
        ]
        project_id = await _project(office)
    await engine.dispose()
    _print(url, office, earners, project_id)


async def _project(office: Office) -> str:
    """Real photographs to draw boxes on, with a few more as gold, launched."""
    path = f"/v1/organisations/{office.organisation_id}/projects"
    existing = (await office.operator.get(path))["items"]
    project = next((each for each in existing if each["name"] == PROJECT), None)
    if project is None:
        slicing = {"tile": 512, "margin": 96}
        about = {**WAYS["box"].project(), "name": PROJECT, "slicing": slicing}
        project = await new_project(office, about)
    path = f"/v1/projects/{project['id']}"
    if project["launched_at"] is None:
        await _bring_in(office.operator, project["id"])
        await office.operator.post(f"{path}/launch")
    while (await _tasks(office.operator, project["id"]))["waiting"]:
        await asyncio.sleep(0.2)
    return str(project["id"])


async def _bring_in(operator: Person, project_id: str) -> None:
    gold = gold_scenes(SEED, GOLD_SCENES)
    say("· bringing photographs in")
    pngs = {image["file_name"]: path_of(image["file_name"]).read_bytes() for image in _photos()}
    await upload(operator, project_id, pngs, content_type="image/png")
    with tempfile.TemporaryDirectory() as folder:
        jpegs = {scene.file_name: scene.write(Path(folder)).read_bytes() for scene in gold}
    await upload(operator, project_id, jpegs, content_type="image/jpeg")
    tiles = 0
    for image in await images_done(operator, project_id):
        if image["state"] == "refused":
            say(f"! {image['name']}: {image['problem']['detail']}")
        tiles += len(await all_items(operator, f"/v1/images/{image['id']}/tiles"))
    while sum((await _tasks(operator, project_id)).values()) < tiles:
        await asyncio.sleep(0.2)
    await operator.post(f"/v1/projects/{project_id}/gold", {"coco": coco(gold)})


async def _tasks(operator: Person, project_id: str) -> dict[str, int]:
    """How many there are, by state."""
    progress = await operator.get(f"/v1/projects/{project_id}/progress")
    tasks: dict[str, int] = progress["tasks"]
    return tasks


def _photos() -> list[dict[str, str]]:
    found = boxes()
    annotated = {each["image_id"] for each in found["annotations"]}
    return [
        image
        for image in found["images"]
        if image["id"] in annotated and path_of(image["file_name"]).suffix == ".png"
    ]


def _print(url: str, office: Office, earners: list[Person], project_id: str) -> None:
    say("")
    say(f"  API             {url}/docs")
    say(f"  project         {project_id}")
    say(f"  organisation    {office.organisation_id}")
    say(f"  password        {PASSWORD}   (the same for all)")
    people = {
        "operator": [office.operator],
        "finance": office.finance,
        "earners": earners,
    }
    for role, members in people.items():
        say(f"  {role:<15} {', '.join(person.email for person in members)}")
    say("")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
