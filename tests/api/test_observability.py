"""What the API counts, read where Prometheus reads it."""

from httpx2 import AsyncClient

from tests.workers.process import Sample, sample, samples
from tests.world import RIGHT, World, answers

LEASES = sample("tessera_leases_total")


def answered(result: str) -> Sample:
    return sample("tessera_answers_total", result=result)


async def shown(http: AsyncClient) -> dict[Sample, float]:
    got = await http.get("/metrics")
    assert got.headers["content-type"].startswith("text/plain")
    return samples(got.text)


async def test_leases_and_answers_are_counted(world: World) -> None:
    _, project = await world.launched(images=3)
    earner = await world.earner()
    before = await shown(world.http)

    async def more(what: Sample) -> float:
        return (await shown(world.http))[what] - before.get(what, 0)

    handed = await earner.post("/v1/work/leases", {"project_id": project["id"], "count": 3})
    assert len(handed["leases"]) == 3
    assert await more(LEASES) == 3

    good, other = handed["leases"][:2], {**handed["leases"][2], "fence": 1}
    await earner.post("/v1/work/answers", answers([*good, other], RIGHT))
    assert await more(answered("accepted")) == 2
    assert await more(answered("lease-superseded")) == 1

    again = await earner.post("/v1/work/leases", {"project_id": project["id"]})
    assert again["leases"] == []
    assert await more(LEASES) == 3, "nothing was handed out, and nothing counted"
