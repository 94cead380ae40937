"""Files of annotations that cannot be used: said so in a word, with nothing changed."""

import io
import json
import struct
import tarfile
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.accounts.models import Role
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.quality import import_job
from tessera.storage import keys
from tests.api.unchanged import nothing_changes
from tests.objects import put_bytes
from tests.quality.bringing import (
    ANY_FILE,
    announced,
    brought,
    json_lines,
    refusals,
    sent,
    told,
    zipped,
)
from tests.quality.court import Court, court
from tests.quality.test_gold import expected
from tests.quality.test_planting import coins
from tests.world import BOX_SCHEMA, World

GOOD = json_lines({"a.jpg": coins("a.jpg"), "b.jpg": coins("b.jpg")})
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 256, "height": 256}],
        "categories": [{"id": 1, "name": "coin"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}],
    }
).encode()


async def boxes(world: World) -> Court:
    return await court(world, "a.jpg", "b.jpg", kind="box", label_schema=BOX_SCHEMA)


async def is_refused(here: Court, made: dict[str, Any], code: str) -> None:
    assert (made["state"], made["problem"]["code"]) == ("refused", code), made
    assert (made["problem"]["status"], bool(made["problem"]["detail"])) == (422, True)
    assert (made["images"], made["tasks"]) == (0, 0)
    assert await expected(here.world) == {}


async def sent_as(here: Court, data: bytes, **said: Any) -> dict[str, Any]:
    """Something else than what was announced, past the store, which sees to the length."""
    made = await announced(here, GOOD, **said)
    key = keys.import_file(UUID(made["project_id"]), UUID(made["id"]))
    await put_bytes(here.world.store, key, data, content_type=ANY_FILE)
    await here.operator.post(f"/v1/annotation-imports/{made['id']}/uploaded", status=202)
    await here.judge()
    return await told(here, made["id"])


async def test_what_did_not_come_or_is_not_what_was_announced(world: World) -> None:
    here = await boxes(world)
    made = await announced(here, GOOD)
    await here.operator.post(f"/v1/annotation-imports/{made['id']}/uploaded", status=202)
    await here.judge()
    await is_refused(here, await told(here, made["id"]), "missing")
    await is_refused(here, await sent_as(here, GOOD + b"\n", sha256=None), "wrong-size")
    other = GOOD.replace(b"a.jpg", b"b.jpg")
    await is_refused(here, await sent_as(here, other), "wrong-sha256")


def tar_of(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in entries.items():
            entry = tarfile.TarInfo(f"{name}.json")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def bomb() -> bytes:
    """A tar of one sparse file that claims to have 8 TiB."""
    entry = tarfile.TarInfo("big.json")
    entry.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = struct.pack(">BxxxQ", 0x80, 2**43)
    header[148:156] = b"        "
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + b"\0" * 1024


def damaged() -> bytes:
    """A zip with some bytes of its file changed."""
    data = zipped({"a.json": COCO})
    return data[:60] + bytes(each ^ 0x55 for each in data[60:90]) + data[90:]


NOT_IT = {
    "another format": ("coco", GOOD),
    "no format at all": ("coco", b"\x89PNG" + bytes(600)),
    "a picture, where many files must come": ("yolo", b"\x89PNG" + bytes(600)),
    "cut off": ("coco", COCO[:-30]),
    "a zip that is cut off": ("coco", zipped({"a.json": COCO})[:-30]),
    "a zip without it": ("coco", zipped({"a.txt": COCO})),
    "a zip with a damaged file": ("coco", damaged()),
    "a tar that is cut off": ("coco", tar_of(a=COCO * 40)[:2_000]),
    "a tar of eight terabytes": ("coco", bomb()),
    "compressed": ("coco", b"\x1f\x8b\x08" + bytes(60)),
    "nested too deeply": ("coco", b'{"images": ' + b"[" * 200_000),
}


ALIKE = {"no format at all", "a zip that is cut off", "a zip without it", "compressed", "cut off"}
"""Each takes a process of its own, and shows little that the others do not."""


@pytest.mark.parametrize(
    "what", [pytest.param(e, marks=pytest.mark.long if e in ALIKE else ()) for e in NOT_IT]
)
async def test_what_is_not_the_format_is_a_bad_file(world: World, what: str) -> None:
    here = await boxes(world)
    file_format, data = NOT_IT[what]
    made = await brought(here, data, format=file_format)
    codes = {"bad-file", "too-much-memory"} if "terabytes" in what else {"bad-file"}
    assert made["problem"]["code"] in codes, made
    await is_refused(here, made, made["problem"]["code"])


async def test_no_name_in_an_archive_leads_anywhere(world: World) -> None:
    here = await boxes(world)
    data = zipped({"../../a.json": COCO, "/etc/b.json": b"{}", "c:d.json": b"{}", "e.json": COCO})
    made = await brought(here, data, format="coco")
    assert (made["state"], made["images"]) == ("done", 1), "the others are not looked at"


async def test_what_an_archive_says_twice_is_refused(world: World) -> None:
    here = await boxes(world)
    made = await brought(here, zipped({"a.json": COCO, "b.json": COCO}), format="coco")
    assert refusals(made) == [("b.json: images[0]", "repeated")]
    await is_refused(here, made, "records-refused")


async def test_names_of_any_content_and_length_are_told(world: World) -> None:
    here = await boxes(world)
    odd = ["n" * 5_000, "a\0b", "\ud83d", "..", "a\nb", "'; DROP TABLE tasks"]
    lines = b"".join(json_lines({name: []}) for name in odd)
    made = await brought(here, lines)
    assert made["refused_records"] == len(refusals(made)) == len(odd)
    named = [
        {**json.loads(COCO)["images"][0], "id": i, "file_name": name} for i, name in enumerate(odd)
    ]
    made = await brought(
        here, json.dumps({**json.loads(COCO), "images": named}).encode(), format="coco"
    )
    assert made["refused_records"] == len(refusals(made)) == len(odd)


async def test_what_no_file_can_be_announced_for(world: World) -> None:
    here = await boxes(world)
    lines = await court(world, beside=here, kind="polyline", label_schema=BOX_SCHEMA)
    over = await court(world, "a.jpg", beside=here, kind="box", label_schema=BOX_SCHEMA)
    await over.launch()
    await over.operator.post(f"{over.path}/complete")
    cases: list[tuple[Court, dict[str, Any], int, str]] = [
        (here, {"format": "hologram"}, 422, "unknown-format"),
        (here, {"format": "../coco"}, 422, "unknown-format"),
        (here, {"purpose": "truth"}, 422, "invalid-request"),
        (here, {"size": 0}, 422, "invalid-request"),
        (here, {"size": 2**32 + 1}, 422, "invalid-request"),
        (here, {"size": "9"}, 422, "invalid-request"),
        (here, {"sha256": "A" * 64}, 422, "invalid-request"),
        (here, {"purpose": "predictions"}, 409, "takes-no-predictions"),
        (lines, {"format": "yolo"}, 422, "format-not-readable"),
        (over, {}, 409, "project-completed"),
    ]
    async with nothing_changes(world.sessions):
        for there, said, status, code in cases:
            problem = await announced(there, GOOD, status=status, **said)
            assert problem["code"] == code, (said, problem)


async def test_a_project_that_is_completed_meanwhile_takes_nothing(world: World) -> None:
    here = await boxes(world)
    await here.launch()
    import_id = await sent(here, GOOD)
    await here.operator.post(f"{here.path}/complete")
    await here.judge()
    await is_refused(here, await told(here, import_id), "project-completed")


async def test_strangers_see_none_and_reviewers_bring_none(world: World) -> None:
    here = await boxes(world)
    made = await announced(here, GOOD)
    body = {"purpose": "gold", "format": "coco", "size": 9}
    create, one = f"{here.path}/annotation-imports", f"/v1/annotation-imports/{made['id']}"
    stranger, _ = await world.operator()
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    (earner,) = await here.earners(1)
    async with nothing_changes(world.sessions):
        for nobody in (stranger, earner):
            await nobody.post(create, body, status=404)
            await nobody.post(f"{one}/uploaded", status=404)
            await nobody.get(one, status=404)
        await reviewer.post(create, body, status=403)
        await reviewer.post(f"{one}/uploaded", status=403)
        assert (await reviewer.get(one))["state"] == "registered"


_GIVE_UP = text("UPDATE pgqueuer SET status = 'failed' WHERE entrypoint LIKE 'quality.import%'")


async def test_who_waits_for_an_import_that_was_given_up_on_is_told(world: World) -> None:
    here = await boxes(world)
    import_id = await sent(here, GOOD)
    async with db.transaction(world.sessions) as session:
        await session.execute(_GIVE_UP)
    await world.work.sweep("fail-held-annotations")
    made = await told(here, import_id)
    assert (made["state"], made["problem"]["code"]) == ("refused", "our-fault")
    run = Run(0, "quality.import_annotations", {"import_id": import_id}, 1, None)
    await import_job.import_annotations(world.work.context, run)
    assert (await told(here, import_id))["state"] == "refused", "and run again it stays so"
