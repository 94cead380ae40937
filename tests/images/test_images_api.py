"""Announcing files, declaring them done, and looking at what became of them."""

import asyncio
from typing import Any

import pytest

from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.images.ingesting import JPEG, Desk, desk, fates, put
from tests.world import World, photograph


async def register(
    operator: As, project_id: str, *files: tuple[str, str], status: int = 200
) -> Any:
    body = {"files": [{"name": name, "content_type": kind} for name, kind in files]}
    return await operator.post(f"/v1/projects/{project_id}/images", body, status=status)


async def test_announcing_a_file_again_gives_the_same_image(world: World) -> None:
    here = await desk(world)
    (first,) = await here.announce("a.jpg")
    (again,) = await here.announce("a.jpg", content_type="image/png")
    assert again["image_id"] == first["image_id"]
    await put(again["put_url"], JPEG, "image/png")
    await here.declare(again["image_id"])
    await world.work.jobs()
    assert fates(await here.images()) == {"a.jpg": "ready"}


async def test_twenty_announcements_at_once_make_one_image_each(world: World) -> None:
    here = await desk(world)
    names = [f"{number}.jpg" for number in range(30)]
    said = await asyncio.gather(
        *(here.announce(*(names if n % 2 else reversed(names))) for n in range(20))
    )
    by_name = [{upload["name"]: upload["image_id"] for upload in uploads} for uploads in said]
    assert all(each == by_name[0] for each in by_name)
    assert len(await here.images()) == 30


async def test_each_file_is_taken_or_refused_by_itself(world: World) -> None:
    here = await desk(world)
    registered = await register(
        here.operator,
        here.project_id,
        ("a.jpg", "image/jpeg"),
        ("b.gif", "image/gif"),
        ("c.svg", "image/svg+xml"),
        ("a.jpg", "image/jpeg"),
        ("d.tif", "image/tiff"),
    )
    uploads = registered["uploads"]
    problems = [upload["problem"] and upload["problem"]["code"] for upload in uploads]
    bad = "unsupported-content-type"
    assert problems == [None, bad, bad, None, None]
    assert all((upload["put_url"] is None) == bool(upload["problem"]) for upload in uploads)
    assert sorted(await here.images()) == ["a.jpg", "d.tif"]


async def test_if_no_file_of_several_can_be_taken_that_is_a_problem_and_nothing_happens(
    world: World,
) -> None:
    here = await desk(world)
    await here.bring({"a.jpg": JPEG})
    files = (("a.jpg", "image/jpeg"), ("b.gif", "image/gif"), ("c.jpg", "text/html"))
    async with nothing_changes(world.sessions):
        problem = await register(here.operator, here.project_id, *files, status=422)
    assert problem["code"] == "files-refused"
    assert [upload["name"] for upload in problem["uploads"]] == [name for name, _ in files]
    assert [upload["problem"]["code"] for upload in problem["uploads"]] == [
        "image-name-taken",
        "unsupported-content-type",
        "unsupported-content-type",
    ]
    assert {upload["put_url"] for upload in problem["uploads"]} == {None}


async def test_the_name_of_an_image_that_is_underway_or_ready_is_taken(world: World) -> None:
    here = await desk(world)
    await here.bring({"a.jpg": JPEG})
    problem = await register(here.operator, here.project_id, ("a.jpg", "image/jpeg"), status=422)
    (upload,) = problem["uploads"]
    assert (upload["problem"]["status"], upload["problem"]["code"]) == (409, "image-name-taken")
    assert fates(await here.images()) == {"a.jpg": "ready"}


async def test_a_refused_file_can_be_uploaded_again_under_its_name(world: World) -> None:
    here = await desk(world)
    await here.bring({"a.jpg": JPEG})
    cut_off = (await here.bring({"b.jpg": JPEG[:500], "c.jpg": JPEG}))["b.jpg"]
    assert fates(await here.images()) == {
        "a.jpg": "ready",
        "b.jpg": "truncated",
        "c.jpg": "duplicate",
    }
    images = await here.bring({"b.jpg": photograph(), "c.jpg": photograph()})
    assert fates(images) == {"b.jpg": "ready", "c.jpg": "ready"}
    assert images["b.jpg"]["id"] == cut_off["id"]
    assert images["b.jpg"]["problem"] is images["c.jpg"]["duplicate_of"] is None


async def test_a_link_takes_the_announced_type_only(world: World) -> None:
    here = await desk(world)
    (upload,) = await here.announce("a.jpg")
    with pytest.raises(AssertionError, match="SignatureDoesNotMatch"):
        await put(upload["put_url"], JPEG, "text/html")


async def test_declaring_uploads_twice_does_nothing_twice(world: World) -> None:
    here = await desk(world)
    (link,) = await here.announce("a.jpg")
    await put(link["put_url"], JPEG)
    said = [await here.declare(link["image_id"]) for _ in range(3)]
    assert [image["state"] for images in said for image in images] == ["checking"] * 3
    await world.work.jobs()
    (image,) = await here.declare(link["image_id"], link["image_id"])
    assert image["state"] == "ready"
    await world.work.jobs()
    assert len(await here.pages("tasks")) == 1


async def test_if_one_of_the_uploads_is_not_ours_none_is_taken(world: World) -> None:
    here, there = await desk(world), await desk(world)
    (mine,), (theirs,) = await here.announce("a.jpg"), await there.announce("a.jpg")
    problem = await here.declare(mine["image_id"], theirs["image_id"], status=404)
    assert problem["code"] == "not-found"
    assert fates(await here.images()) == fates(await there.images()) == {"a.jpg": "registered"}


async def test_a_strangers_project_does_not_exist(world: World) -> None:
    here = await desk(world)
    image = (await here.bring({"a.jpg": JPEG}))["a.jpg"]
    stranger, _ = await world.operator()
    there = Desk(world, stranger, here.project_id)
    await register(stranger, here.project_id, ("b.jpg", "image/jpeg"), status=404)
    await there.declare(image["id"], status=404)
    for path in (
        f"/v1/projects/{here.project_id}/images",
        f"/v1/images/{image['id']}",
        f"/v1/images/{image['id']}/tiles",
    ):
        await stranger.get(path, status=404)
    assert sorted(await here.images()) == ["a.jpg"]


async def test_pages_of_images_neither_repeat_nor_miss_any(world: World) -> None:
    here = await desk(world)
    await here.announce(*(f"{number}.jpg" for number in range(7)))
    path = f"/v1/projects/{here.project_id}/images"
    seen, cursor = [], ""
    for _ in range(4):
        page = await here.operator.get(f"{path}?limit=2{cursor}")
        seen += [image["name"] for image in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert page["next"] is None
    assert sorted(seen) == [f"{number}.jpg" for number in range(7)]


async def test_a_completed_project_takes_no_more_images(world: World) -> None:
    here = await desk(world)
    (link,) = await here.announce("a.jpg")
    await here.operator.post(f"/v1/projects/{here.project_id}/complete")
    await register(here.operator, here.project_id, ("b.jpg", "image/jpeg"), status=409)
    problem = await here.declare(link["image_id"], status=409)
    assert problem["code"] == "project-completed"
