"""The main job as one story, through the front door."""

from httpx2 import AsyncClient

from tests.world import RIGHT, World, answers


async def test_photographs_go_in_and_a_paid_for_dataset_comes_out(world: World) -> None:
    operator, project = await world.launched(images=3, gold=2)
    earners = [await world.earner() for _ in range(3)]
    for _ in range(4):
        for earner in earners:
            handed = await earner.post("/v1/work/leases", {"project_id": project["id"]})
            if handed["leases"]:
                taken = await earner.post("/v1/work/answers", answers(handed["leases"], RIGHT))
                assert all(result["accepted"] for result in taken["results"])
        await world.work.jobs()
    progress = await operator.get(f"/v1/projects/{project['id']}/progress")
    assert progress["tasks"]["settled"] == 3

    await operator.post(f"/v1/projects/{project['id']}/complete")
    await world.work.sweep("post-earnings")
    await world.work.jobs()
    await world.work.sweep("post-earnings")
    balance = await earners[0].get("/v1/earnings/balance")
    assert balance["available_micro"]["USD"] > 0

    run = await operator.post(f"/v1/projects/{project['id']}/datasets")
    await world.work.jobs()
    run = await operator.get(f"/v1/dataset-runs/{run['id']}")
    assert run["state"] == "done", run
    files = await operator.get(f"/v1/datasets/{run['dataset_id']}/files")
    async with AsyncClient() as outside:
        urls = {link["path"]: link["url"] for link in files["links"]}
        coco = (await outside.get(urls["coco.json"])).json()
    assert len(coco["annotations"]) == 5
