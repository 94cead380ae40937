"""Files of an import of which no image is made: each is told, by its name and with a reason."""

import io
import zipfile

import pytest

from tessera.images import imports
from tessera.images.skipping import MOST_TOLD
from tessera.storage.s3 import Store
from tests.images.ingesting import JPEG, desk, fates
from tests.images.test_import import bucket, import_prefix, import_zip, may_import, skips, zipped
from tests.objects import put_bytes
from tests.world import World, photograph

__all__ = ["bucket"]


async def test_what_is_odd_in_a_zip_is_skipped_or_refused_and_stops_nothing(world: World) -> None:
    here = await desk(world)
    longest, too_long = "n" * 296 + ".jpg", "n" * 297 + ".jpg"
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(link, "/etc/passwd")
        packed.writestr("../climbing.jpg", photograph())
        packed.writestr("/etc/absolute.jpg", photograph())
        packed.writestr("folder\\windows.jpg", photograph())
        packed.writestr("bad\x01.jpg", photograph())
        packed.writestr("cut.jpg?.png", photograph())
        packed.writestr("twice.jpg", JPEG)
        with pytest.warns(UserWarning, match="Duplicate name"):
            packed.writestr("twice.jpg", photograph())
        packed.writestr(longest, photograph())
        packed.writestr(too_long, photograph())
        packed.writestr("packed.jpg", JPEG, zipfile.ZIP_BZIP2)
        packed.writestr("broken.jpg", b"0123456789" * 10)
        packed.writestr("locked.jpg", photograph())
        packed.filelist[-1].flag_bits |= 1
        packed.writestr("last.jpg", photograph())
    data = out.getvalue().replace(b"0123456789" * 10, b"9876543210" * 10)
    done = await import_zip(here, data.replace(b"cut.jpg?", b"cut.jpg\0"))
    assert (done["state"], done["found"], done["skipped"]) == ("done", 6, 8)
    assert skips(done) == {
        "link.jpg": "link",
        "../climbing.jpg": "bad-image-name",
        "/etc/absolute.jpg": "bad-image-name",
        "folder\\windows.jpg": "bad-image-name",
        "bad\x01.jpg": "bad-image-name",
        "cut.jpg\N{REPLACEMENT CHARACTER}.png": "bad-image-name",
        "twice.jpg": "repeated",
        too_long[:299] + "…": "bad-image-name",
    }
    images = await here.images()
    assert fates(images) == {
        "twice.jpg": "ready",
        longest: "ready",
        "packed.jpg": "unsupported-compression",
        "broken.jpg": "corrupt",
        "locked.jpg": "encrypted",
        "last.jpg": "ready",
    }
    assert images["twice.jpg"]["bytes"] == len(JPEG), "of two of one name, the first"
    for image in images.values():
        assert (image["problem"] is None) == (image["state"] == "ready")


async def test_of_many_files_that_are_skipped_some_are_told_and_all_counted(world: World) -> None:
    here = await desk(world)
    many = {f"../{number}.jpg": b"" for number in range(MOST_TOLD + 5)}
    done = await import_zip(here, zipped({**many, "a.jpg": JPEG}))
    assert (done["found"], done["skipped"]) == (1, len(many))
    assert [each["name"] for each in done["skipped_files"]] == list(many)[:MOST_TOLD]


async def test_names_that_are_taken_are_skipped_and_told(world: World) -> None:
    here = await desk(world)
    before = (await here.bring({"a.jpg": JPEG}))["a.jpg"]
    done = await import_zip(here, zipped({"a.jpg": photograph(), "b.jpg": photograph()}))
    assert (done["found"], skips(done)) == (1, {"a.jpg": "image-name-taken"})
    images = await here.images()
    assert images["a.jpg"] == before
    assert images["b.jpg"]["state"] == "ready"


@pytest.mark.parametrize("at_once", [1, pytest.param(100, marks=pytest.mark.long)])
async def test_keys_that_make_no_image_of_their_own_are_skipped_and_told(
    world: World, bucket: Store, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(imports, "CHUNK", at_once)
    here = await desk(world)
    await here.bring({"old.jpg": photograph()})
    too_long = "coins/" + ("n" * 150 + "/") * 2 + "a.jpg"
    found = ["coins/a.jpg", "coins/c:b.jpg", "coins/old.jpg", "coinsa.jpg", too_long]
    for key in found:
        await put_bytes(bucket, key, JPEG, content_type="image/jpeg")
    await may_import(world, here)
    made = await import_prefix(here, "coins")
    await world.work.jobs()
    done = await here.operator.get(f"/v1/imports/{made}")
    assert (done["state"], done["found"], done["skipped"]) == ("done", 1, 4)
    assert skips(done) == {
        "coinsa.jpg": "repeated",
        "coins/c:b.jpg": "bad-image-name",
        "coins/old.jpg": "image-name-taken",
        too_long[:299] + "…": "bad-image-name",
    }
