"""What an image may be called, at each of the three doors."""

import pytest
from sqlalchemy import text

from tessera.formats.names import LONGEST_NAME, is_plain_name
from tessera.kernel import db
from tessera.storage.s3 import Store
from tests.images.ingesting import JPEG, desk, fates
from tests.images.test_import import bucket, import_prefix, import_zip, may_import, zipped
from tests.objects import put_bytes
from tests.world import World, photograph

__all__ = ["bucket"]
PLAIN = ["a.jpg", "deep/er/a b.jpg", "..a.jpg", "a..b/c.", "ø/日本.jpg", "n" * LONGEST_NAME]
CLIMBING = ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "..\\a.jpg", "C:/a.jpg", "a//b.jpg"]
ODD = ["", ".", "a/", "./a.jpg", "a\n.jpg", "a\0", "a\x7f.jpg", "a\u2028b", "n" * 301]


@pytest.mark.parametrize("name", PLAIN)
def test_folders_and_any_script_make_a_name(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize("name", [*CLIMBING, *ODD])
def test_what_leads_out_of_a_folder_or_looks_like_something_else_makes_none(name: str) -> None:
    assert not is_plain_name(name)


async def test_a_name_that_climbs_is_refused_when_it_is_announced(world: World) -> None:
    here = await desk(world)
    *refused, taken = await here.announce(*CLIMBING, "a\n.jpg", "deep/a.jpg")
    assert {upload["problem"]["code"] for upload in refused} == {"bad-image-name"}
    assert (taken["problem"], sorted(await here.images())) == (None, ["deep/a.jpg"])


async def test_a_name_that_climbs_is_passed_over_in_a_zip(world: World) -> None:
    here = await desk(world)
    files = {name: photograph() for name in (*CLIMBING, "a\n.jpg", "deep/a.jpg")}
    done = await import_zip(here, zipped(files))
    assert (done["found"], done["skipped"]) == (1, len(files) - 1)
    assert fates(await here.images()) == {"deep/a.jpg": "ready"}


async def test_a_name_that_climbs_is_passed_over_in_a_bucket(world: World, bucket: Store) -> None:
    here = await desk(world)
    for key in ("in/a\\b.jpg", "in/deep/a.jpg", "in/C:a.jpg"):
        await put_bytes(bucket, key, JPEG, content_type="image/jpeg")
    await may_import(world, here)
    made = await import_prefix(here, "in/")
    await world.work.jobs()
    done = await here.operator.get(f"/v1/imports/{made}")
    assert (done["state"], done["found"], done["skipped"]) == ("done", 1, 2)
    assert fates(await here.images()) == {"deep/a.jpg": "ready"}


async def test_nothing_is_left_in_a_bucket_of_such_names_only(world: World, bucket: Store) -> None:
    here = await desk(world)
    await put_bytes(bucket, "in/C:a.jpg", JPEG, content_type="image/jpeg")
    await may_import(world, here)
    made = await import_prefix(here, "in/")
    await world.work.jobs()
    done = await here.operator.get(f"/v1/imports/{made}")
    assert (done["state"], done["found"], done["skipped"]) == ("done", 0, 1)
    async with db.reading(world.sessions) as reader:
        assert (await reader.execute(text("SELECT count(*) FROM images"))).scalar_one() == 0
