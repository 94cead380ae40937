"""Stages over one real photograph, made and answered through the front door."""

from collections.abc import Callable, Mapping
from typing import Any

from tessera.kinds import Question, TileFrame, Window
from tests.client import As
from tests.stories.real_coins import COIN, Photograph, as_drawn, photographs, schema_of
from tests.stories.test_every_kind import key_of
from tests.world import World

TILES = {"tile": 256, "margin": 48}
QUALITY = {"min_overlap": 2, "max_overlap": 3, "redo": 2, "target_confidence": 0.6}
PRICES = {"present": 5_000, "draw": 60_000, "verify": 11_000, "coverage": 13_000, "join": 4_000}
YES = {"verdict": "yes"}
MISSING = {"verdict": "no", "reason": "missing"}
ASKED: Mapping[str, dict[str, Any]] = {
    "present": {"kind": "classify", "label_schema": {**schema_of("box"), "multiple": True}},
    "draw": {"kind": "box", "label_schema": schema_of("box")},
    "verify": {"kind": "verify", "label_schema": {**schema_of("box"), "of": "box"}},
    "join": {"kind": "join", "label_schema": {**schema_of("box"), "of": "box"}},
    "coverage": {
        "kind": "verify",
        "label_schema": {**schema_of("box"), "of": "box", "reasons": ["missing"]},
    },
}
Say = Callable[[str, dict[str, Any]], dict[str, Any]]
"""What somebody answers, by the tile's key and the lease."""


class Chain:
    """Stages over one photograph of four tiles."""

    def __init__(self, world: World, operator: As, organisation_id: str) -> None:
        self.world, self.operator, self.organisation_id = world, operator, organisation_id
        self.photo: Photograph = photographs()[0]
        self.stages: dict[str, str] = {}
        """Project ids by name."""
        self.frames: dict[str, TileFrame] = {}

    async def add(self, name: str, after: str | None, **changes: Any) -> None:
        follows: dict[str, Any] = {"slicing": TILES}
        if after is not None:
            classes = {"classes": [COIN]} if name == "draw" else {}
            follows = {"follows": {"project_id": self.stages[after], **classes}}
        made = await self.world.project(
            self.operator,
            self.organisation_id,
            name=name,
            price_micro=PRICES[name],
            **{"quality": QUALITY, **ASKED[name], **follows, **changes},
        )
        self.stages[name] = made["id"]

    async def work(self, stage: str, say: Say, *, people: int = 2) -> list[str]:
        """Have new people answer all they get; returns the tiles that were answered."""
        told = []
        for _ in range(people):
            told += await self.answer(await self.world.earner(), stage, say)
        await self.world.work.jobs()
        return told

    async def answer(self, earner: As, stage: str, say: Say) -> list[str]:
        told = []
        while leases := await self.lease(earner, stage):
            keys = [key_of(each["picture"]["url"]) for each in leases]
            body = [
                {
                    "lease_id": each["lease_id"],
                    "fence": each["fence"],
                    "outcome": "answered",
                    "answer": say(key, each),
                }
                for key, each in zip(keys, leases, strict=True)
            ]
            taken = await earner.post("/v1/work/answers", {"answers": body})
            assert all(each["accepted"] for each in taken["results"]), taken
            told += keys
        return told

    async def lease(self, earner: As, stage: str) -> list[dict[str, Any]]:
        wanted = {"project_id": self.stages[stage], "count": 4}
        leases: list[dict[str, Any]] = (await earner.post("/v1/work/leases", wanted))["leases"]
        return leases

    def drawn(self, key: str) -> dict[str, Any]:
        question = Question(self.photo.whole("box").schema, self.frames[key])
        return as_drawn("box", self.photo.known("box"), question, (0, 0))

    async def tasks(self, stage: str) -> dict[str, dict[str, Any]]:
        """By the key of the tile's picture."""
        path = f"/v1/projects/{self.stages[stage]}/tasks?limit=200"
        found = {}
        for each in (await self.operator.get(path))["items"]:
            whole = await self.operator.get(f"/v1/tasks/{each['id']}")
            tile = whole["tile"]
            key = key_of(tile["url"])
            self.frames[key] = TileFrame(
                Window(*tile["window"]), Window(*tile["core"]), self.photo.size
            )
            found[key] = whole
        return found

    async def dataset(self, stage: str, *formats: str) -> dict[str, bytes]:
        """The files of a version of a stage, by name."""
        path = f"/v1/projects/{self.stages[stage]}"
        return await self.world.dataset(self.operator, path, formats=formats)

    async def states(self, stage: str) -> list[str]:
        return sorted(each["state"] for each in (await self.tasks(stage)).values())


async def a_chain(world: World, *stages: str) -> Chain:
    """Some stages of *is there a coin? draw; is it right? is anything missing?*, launched."""
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    here = Chain(world, operator, organisation_id)
    for number, name in enumerate(stages):
        await here.add(name, stages[number - 1] if number else None)
    files = [(here.photo.name, here.photo.jpeg)]
    await world.images(operator, here.stages[stages[0]], files)
    for each in here.stages.values():
        await operator.post(f"/v1/projects/{each}/launch")
    await world.work.jobs()
    await here.tasks(stages[0])
    return here
