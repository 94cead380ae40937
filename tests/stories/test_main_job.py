"""The main job as one story, through the front door."""

from tests.client import As, browser
from tests.world import RIGHT, World, answers

IBAN = "DE89370400440532013000"
PRICE = 2_000_000


async def test_photographs_go_in_and_a_paid_for_dataset_comes_out(world: World) -> None:
    operator, project = await world.launched(images=3, gold=2, price_micro=PRICE)
    earners = [await world.earner() for _ in range(3)]
    for _ in range(12):
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
    earned = [await available(earner) for earner in earners]
    assert sum(earned) % PRICE == 0
    assert all(each >= PRICE for each in earned)
    await paid_out(world, earners)

    run = await operator.post(f"/v1/projects/{project['id']}/datasets")
    await world.work.jobs()
    run = await operator.get(f"/v1/dataset-runs/{run['id']}")
    assert run["state"] == "done", run
    files = await operator.get(f"/v1/datasets/{run['dataset_id']}/files")
    async with browser() as outside:
        urls = {link["path"]: link["url"] for link in files["links"]}
        coco = (await outside.get(urls["coco.json"])).json()
    assert len(coco["annotations"]) == 5


async def available(earner: As) -> int:
    balance = await earner.get("/v1/earnings/balance")
    return int(balance["available_micro"].get("USD", 0))


async def paid_out(world: World, earners: list[As]) -> None:
    """All ask to be paid; one transfer bounces, and that earner has the money again."""
    maker, checker = await world.finance(2)
    asked = {}
    for number, earner in enumerate(earners):
        wanted = {"rail": "manual", "details": {"holder": f"Earner {number}", "iban": IBAN}}
        await earner.put("/v1/payout-destination", wanted)
        payout = await earner.post("/v1/payouts", {"currency": "USD"})
        asked[payout["id"]] = payout["amount_micro"]
        assert await available(earner) == 0
    batch = await maker.post("/v1/finance/payout-batches", {"currency": "USD"})
    path = f"/v1/finance/payout-batches/{batch['id']}"
    shown = {"items_sha256": batch["items_sha256"]}
    problem = await maker.post(f"{path}/approve", shown, status=403)
    assert problem["code"] == "own-batch"
    assert (await checker.post(f"{path}/approve", shown))["state"] == "approved"
    file = (await checker.call("POST", f"{path}/export")).text
    assert file == (await checker.call("POST", f"{path}/export")).text
    for payout_id in asked:
        assert file.count(payout_id) == 1
    assert file.count(IBAN) == len(earners)
    bounced, *others = asked
    await checker.post(f"{path}/settled", {"payout_ids": others, "rail_reference": "bank 7"})
    reason = {"reason": "The account is closed."}
    await checker.post(f"{path}/items/{bounced}/returned", reason)
    assert [await available(earner) for earner in earners] == [asked[bounced]] + [0] * len(others)
    (told,) = (await earners[0].get("/v1/payouts"))["items"]
    assert (told["state"], told["reason"]) == ("returned", "The account is closed.")
