"""Files on their way in, as an operator sends them."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import text

from tessera.images.tiling import grid
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tests.client import As, browser
from tests.images.pictures import Pixels
from tests.world import World, photograph

JPEG = photograph(96, 64, seed=5)


@dataclass(frozen=True)
class Desk:
    """An operator at a project of theirs."""

    world: World
    operator: As
    project_id: str

    async def announce(self, *names: str, content_type: str = "image/jpeg") -> list[dict[str, Any]]:
        """Upload links, one for each name."""
        body = {"files": [{"name": name, "content_type": content_type} for name in names]}
        registered = await self.operator.post(f"/v1/projects/{self.project_id}/images", body)
        uploads: list[dict[str, Any]] = registered["uploads"]
        return uploads

    async def declare(self, *image_ids: str, status: int = 202) -> Any:
        """Say that uploads are done."""
        return await self.operator.post(
            f"/v1/projects/{self.project_id}/images/uploaded",
            {"image_ids": list(image_ids)},
            status=status,
        )

    async def bring(
        self, files: Mapping[str, bytes | None], *, content_type: str = "image/jpeg"
    ) -> dict[str, dict[str, Any]]:
        """Upload files, but those that are None; once all are dealt with, the images by name."""
        links = await self.announce(*files, content_type=content_type)
        await asyncio.gather(
            *(
                put(link["put_url"], data, content_type)
                for link, data in zip(links, files.values(), strict=True)
                if data is not None
            )
        )
        await self.declare(*(link["image_id"] for link in links))
        await self.world.work.jobs()
        return {name: image for name, image in (await self.images()).items() if name in files}

    async def images(self) -> dict[str, dict[str, Any]]:
        """All images of the project by name."""
        return {image["name"]: image for image in await self.pages("images")}

    async def pages(self, what: str, **query: str) -> list[dict[str, Any]]:
        """Every item of a list of the project's."""
        items: list[dict[str, Any]] = []
        words = "".join(f"&{name}={value}" for name, value in query.items())
        path = f"/v1/projects/{self.project_id}/{what}?limit=200{words}"
        page = await self.operator.get(path)
        while True:
            items += page["items"]
            if page["next"] is None:
                return items
            page = await self.operator.get(f"{path}&cursor={page['next']}")

    async def tiles(self, image_id: str) -> list[Pixels]:
        """An image's tiles as they are in the store."""
        listed = await self.operator.get(f"/v1/images/{image_id}/tiles?limit=200")
        async with browser() as outside:
            files = [await outside.get(tile["url"]) for tile in listed["items"]]
        return [np.asarray(Image.open(io.BytesIO(file.content))) for file in files]


CUT = {"tile": 128, "margin": 8}


async def is_whole(world: World, here: Desk, size: tuple[int, int]) -> None:
    """Every tile once, in the database as in the store, and nothing else."""
    assert fates(await here.images()) == {"a.jpg": "ready"}
    found, expected = await kept(world, here), grid(*size, **CUT)
    assert found.numbers == [box.index for box in expected]
    assert found.objects["tiles"] == found.tile_keys
    assert len(found.objects["originals"]) == len(found.objects["thumbnails"]) == 1
    assert found.objects["uploads"] == set()
    assert len(await here.pages("tasks")) == len(expected)


def an_attempt(image_id: str, *, number: int = 1) -> Run:
    """At bringing in an image, besides the one that stands in the queue."""
    return Run(0, "images.ingest", {"image_id": image_id}, attempt=number, request_id=None)


async def sent(here: Desk, picture: bytes) -> str:
    """A file on its way in; the id of its image."""
    (link,) = await here.announce("a.jpg")
    await put(link["put_url"], picture)
    await here.declare(link["image_id"])
    return str(link["image_id"])


async def desk(world: World, **project: Any) -> Desk:
    operator, organisation_id = await world.operator()
    made = await world.project(operator, organisation_id, **project)
    return Desk(world, operator, made["id"])


async def put(url: str, data: bytes, content_type: str = "image/jpeg") -> None:
    async with browser() as outside:
        for _ in range(4):  # like any client of S3: a 500 is tried again
            answer = await outside.put(url, content=data, headers={"Content-Type": content_type})
            if answer.status_code < 500:
                break
    assert answer.is_success, answer.text


def fates(images: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By name, the reason why an image was refused, or its state."""
    return {
        name: image["problem"]["code"] if image["problem"] else image["state"]
        for name, image in images.items()
    }


@dataclass(frozen=True)
class Kept:
    """What is left of a project's images, in the database and in the store."""

    numbers: list[int]
    tile_keys: set[str]
    objects: dict[str, set[str]]


FOLDERS = ("uploads", "originals", "tiles", "thumbnails")
NOTHING = Kept([], set(), {folder: set() for folder in FOLDERS})


async def kept(world: World, here: Desk) -> Kept:
    async with db.reading(world.sessions) as reader:
        rows = (await reader.execute(text("SELECT number, key FROM tiles ORDER BY number"))).all()
    return Kept(
        [number for number, _ in rows],
        {key for _, key in rows},
        {folder: await _below(world, f"{folder}/{here.project_id}/") for folder in FOLDERS},
    )


async def _below(world: World, prefix: str) -> set[str]:
    return {each.key async for each in world.store.list(prefix)}
