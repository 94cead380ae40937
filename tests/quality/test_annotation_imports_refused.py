"""Files of annotations that cannot be used: said so in a word, with nothing changed."""

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.accounts.models import Role
from tessera.formats import json_lines as json_lines_format
from tessera.formats.protocol import Known
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.quality import import_job, reading
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


async def test_where_no_image_is_ready_nothing_is_read(world: World) -> None:
    here = await court(world, kind="box", label_schema=BOX_SCHEMA)
    await is_refused(here, await brought(here, GOOD), "unknown-image")


def read_alone(folder: Path, data: bytes) -> dict[str, Any]:
    """What the reader of a file of two images tells, of which the project has one."""
    (folder / "file").write_bytes(data)
    (folder / "images").write_bytes(b'["a.jpg",256,256,null]\n')
    names = ("images", "known", "refused", "left_out")
    asked: dict[str, Any] = {name: str(folder / name) for name in names}
    asked |= {"format": "json-lines", "kind": "box", "label_schema": BOX_SCHEMA}
    return reading.read(reading.Request(path=str(folder / "file"), **asked))


def test_no_names_are_kept_but_those_of_the_project(tmp_path: Path) -> None:
    """A file may refuse as many others as it likes."""
    told = read_alone(tmp_path, GOOD + json_lines({f"{i}.jpg": [] for i in range(999)}))
    assert told == {"known": 1, "refused": 1_000, "short": [], "bad": None}
    assert read_alone(tmp_path, GOOD + GOOD)["short"] == ["a.jpg"]


def test_a_reader_that_breaks_tells_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> Iterator[Known]:
        yield Known("line 7", "a.jpg", [])
        raise KeyError("Title")

    monkeypatch.setattr(json_lines_format, "read", breaks)
    bad = read_alone(tmp_path, GOOD)["bad"]
    assert bad == {"code": "reader-crashed", "at": "after line 7", "why": "KeyError: 'Title'"}


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


def linked(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = 0o120777 << 16
    return made


def voc(name: str) -> bytes:
    return f"<annotation><filename>{name}</filename></annotation>".encode()


ODD: dict[str, tuple[str | zipfile.ZipInfo, str]] = {
    "leads out": ("../b.xml", "leads out of its folder"),
    "absolute": ("/b.xml", "leads out of its folder"),
    "a drive": ("c:b.xml", "leads out of its folder"),
    "too long": ("Annotations/" + "q" * 300 + ".xml", "more than 300 characters"),
    "backslash": ("Annotations\\b.xml", "a backslash"),
    "control character": ("Annotations/\x01b.xml", "a control character"),
    "link": (linked("Annotations/b.xml"), "is a link"),
    "repeated": ("Annotations/a.xml", "the name of another"),
}
SOON = {"leads out"}
"""Of which the rest are variations."""


@pytest.mark.parametrize(
    "what", [each if each in SOON else pytest.param(each, marks=pytest.mark.long) for each in ODD]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
async def test_no_file_of_a_zip_is_passed_over_without_a_word(world: World, what: str) -> None:
    here = await boxes(world)
    member, why = ODD[what]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("Annotations/a.xml", voc("a.jpg"))
        packed.writestr(member, voc("b.jpg"))
    for partial in (False, True):
        made = await brought(here, out.getvalue(), format="voc", partial=partial)
        await is_refused(here, made, "bad-file")
        name = member if isinstance(member, str) else member.filename
        assert made["problem"]["detail"].startswith(name[:200])
        assert why in made["problem"]["detail"]


async def test_what_every_tool_packs_with_the_files_is_no_matter(world: World) -> None:
    here = await boxes(world)
    litter = ["Annotations/", "__MACOSX/Annotations/._a.xml", ".DS_Store", "Annotations/Thumbs.db"]
    litter += ["Annotations/.ipynb_checkpoints/a-checkpoint.xml", ".git/a.xml", "Icon\r"]
    data = zipped({**dict.fromkeys(litter, b"?"), "./Annotations/a.xml": voc("a.jpg")})
    made = await brought(here, data, format="voc")
    assert (made["state"], made["images"], made["refused_records"]) == ("done", 1, 0)


def voc_tar(*members: tuple[str, str], **headers: str) -> bytearray:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, image in members:
            entry = tarfile.TarInfo(f"Annotations/{name}.xml")
            entry.size, entry.pax_headers = len(voc(image)), headers
            tar.addfile(entry, io.BytesIO(voc(image)))
    return bytearray(out.getvalue())


async def test_no_file_of_a_tar_is_passed_over_without_a_word(world: World) -> None:
    here = await boxes(world)
    damaged_header = voc_tar(("a", "a.jpg"), ("b", "b.jpg"))
    damaged_header[1024 + 5] ^= 0xFF
    cases = {
        "Annotations/a.xml: is there twice": voc_tar(("a", "a.jpg"), ("a", "b.jpg")),
        "at byte 1,024, after Annotations/a.xml": damaged_header,
        "cut off at byte 1,024": damaged_header[:1024],
        "is damaged": voc_tar(("a", "a.jpg"), **{"GNU.sparse.map": "abc,def"}),
    }
    for why, data in cases.items():
        made = await brought(here, bytes(data), format="voc")
        await is_refused(here, made, "bad-file")
        assert why in made["problem"]["detail"]


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
