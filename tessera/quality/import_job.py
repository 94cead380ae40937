"""The job that brings in a file of annotations: one transaction writes all there is to take.

Before it, the file is read, by a process of its own, and what it says is cut to tiles, chunk by
chunk, without a lock; both go to disk, so that memory does not grow with the file. Killed anywhere,
the job begins anew, and nothing was taken.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, update

from tessera.formats.protocol import Known
from tessera.images.ingest import LIMITS
from tessera.images.models import Image, ImageState
from tessera.kernel import db, jobs
from tessera.kernel.errors import DomainError
from tessera.kinds import LabelSchema, parsed, shown
from tessera.kinds.objects import MOST_OBJECTS
from tessera.projects.models import Project
from tessera.quality import gold_import, known, predictions
from tessera.quality.annotation_imports import refuse_unfit
from tessera.quality.child import Unusable, reading
from tessera.quality.errors import TooMuch
from tessera.quality.import_report import Report
from tessera.quality.known import Found, Row
from tessera.quality.models import AnnotationImport, AnnotationImportState, Purpose
from tessera.quality.reading import Request, lines_of
from tessera.quality.views import Place, Seen, seen_on_tiles
from tessera.storage import keys
from tessera.storage.context import JobContext
from tessera.storage.errors import ObjectNotFound, ObjectTooLarge
from tessera.storage.s3 import Store

IMAGES_AT_ONCE, OBJECTS_AT_ONCE, TILES_AT_ONCE = 500, 20_000, 1_000
OUR_FAULT = "Something went wrong on our side, and we have been told. Please send it again later."
MOST_HELD = 10_000


@dataclass(frozen=True)
class _Errand:
    context: JobContext
    made: AnnotationImport
    project: Project
    folder: Path

    @property
    def sessions(self) -> db.Sessions:
        return self.context.sessions

    def at(self, name: str) -> Path:
        return self.folder / name


async def import_annotations(context: JobContext, run: jobs.Run) -> None:
    async with db.reading(context.sessions) as reader:
        made = await reader.get_one(AnnotationImport, UUID(run.payload["import_id"]))
        project = await reader.get_one(Project, made.project_id)
    if made.state is AnnotationImportState.RUNNING:
        with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
            await _bring_in(_Errand(context, made, project, Path(folder)))
    # also what an attempt that was killed here has left
    await context.store.delete_many([keys.import_file(made.project_id, made.id)])


async def _bring_in(errand: _Errand) -> None:
    report = Report(errand.made, errand.at("refused"), errand.at("left_out"))
    try:
        await _fetch(errand.context.store, errand.made, errand.at("file"))
        await _read(errand, report)
        await _cut(errand, report)
        _all_or_nothing(errand.made, report)
        await _write(errand, report)
    except Unusable as error:
        await report.end_refused(errand.sessions, error.code, error.why)
    except DomainError as error:
        await report.end_refused(errand.sessions, error.code, error.detail)


def _all_or_nothing(made: AnnotationImport, report: Report) -> None:
    if report.refused and not made.partial:
        why = f"{report.refused:,} records were refused, so nothing was taken."
        raise Unusable("records-refused", why)


async def _fetch(store: Store, made: AnnotationImport, path: Path) -> None:
    try:
        fetched = await store.get_to_file(
            keys.import_file(made.project_id, made.id), path, max_bytes=LIMITS.file_bytes
        )
    except ObjectNotFound as error:
        raise Unusable("missing", "The file was never uploaded.") from error
    except ObjectTooLarge as error:
        gigabytes = LIMITS.file_bytes / 2**30
        raise Unusable("too-many-bytes", f"The file is larger than {gigabytes:.0f} GiB.") from error
    if fetched.size != made.size:
        raise Unusable(
            "wrong-size", f"The file has {fetched.size:,} bytes, not the {made.size:,} announced."
        )
    if made.sha256 not in {None, fetched.sha256}:
        raise Unusable("wrong-sha256", f"The file's SHA-256 is {fetched.sha256}.")


async def _read(errand: _Errand, report: Report) -> None:
    if not await _list_images(errand):
        raise Unusable("unknown-image", "The project has no image that is ready.")
    kind, schema = shown(errand.project.kind, parsed(errand.project.label_schema))
    told = await reading(
        Request(
            path=str(errand.at("file")),
            format=errand.made.format,
            kind=kind,
            label_schema=schema.as_json(),
            images=str(errand.at("images")),
            known=str(errand.at("known")),
            refused=str(errand.at("refused")),
            left_out=str(errand.at("left_out")),
        ),
        errand.folder,
    )
    report.refused, report.short = told["refused"], set(told["short"])
    if told["bad"] is not None:
        code, at, why = (told["bad"][name] for name in ("code", "at", "why"))
        raise Unusable(code, f"{at}: {why}" if at else why)


async def _list_images(errand: _Errand) -> int:
    """Name, size and georeference of each image of the project, for the reader; how many."""
    count = 0
    ready = (
        select(Image.name, Image.width, Image.height, Image.georeference)
        .where(Image.project_id == errand.project.images_of, Image.state == ImageState.READY)
        .order_by(Image.name)
        .execution_options(yield_per=10_000)
    )
    async with db.reading(errand.sessions) as reader:
        with errand.at("images").open("wb") as out:
            async for row in await reader.stream(ready):
                out.write(orjson.dumps([*row], option=orjson.OPT_APPEND_NEWLINE))
                count += 1
    return count


async def _cut(errand: _Errand, report: Report) -> None:
    """Write what is to be written of tiles to disk; refuse images of which it cannot be."""
    schema = parsed(errand.project.label_schema)
    with errand.at("cuts").open("wb") as out:
        async for said, there in _looked_up(errand, report):
            line = await asyncio.to_thread(_line, errand, schema, said, there, report)
            await asyncio.to_thread(out.write, line)


async def _looked_up(
    errand: _Errand, report: Report
) -> AsyncIterator[tuple[Mapping[str, Known], Mapping[str, list[Place]]]]:
    """What is known of some images, and some of their tiles."""
    for chunk in _chunks(errand.at("known")):
        said = {each.name: each for each in chunk if each.name not in report.short}
        async with db.reading(errand.sessions) as reader:
            found = await known.images(reader, errand.project, list(said))
        for name in sorted(said.keys() - found.keys()):
            report.refuse(said[name], "unknown-image", "is not an image that is ready here")
        for some in _parts({name: found[name] for name in said if name in found}):
            for start in range(0, max(each.tiles for each in some.values()), TILES_AT_ONCE):
                numbers = range(start, start + TILES_AT_ONCE)
                async with db.reading(errand.sessions) as reader:
                    there = await known.places(
                        reader, errand.project, some, numbers=numbers, most=TILES_AT_ONCE
                    )
                yield {name: said[name] for name in some}, there


def _chunks(path: Path) -> Iterator[list[Known]]:
    """What the reader has written, some images at a time."""
    chunk, objects = list[Known](), 0
    for line in lines_of(path):
        chunk.append(Known(line["at"], line["name"], line["objects"]))
        objects += len(line["objects"])
        if len(chunk) == IMAGES_AT_ONCE or objects >= OBJECTS_AT_ONCE:
            yield chunk
            chunk, objects = [], 0
    if chunk:
        yield chunk


def _parts(found: Mapping[str, Found]) -> Iterator[dict[str, Found]]:
    """Images that have so many tiles together, or a large one alone."""
    part: dict[str, Found] = {}
    tiles = 0
    for name, each in found.items():
        if part and tiles + each.tiles > TILES_AT_ONCE:
            yield part
            part, tiles = {}, 0
        part[name] = each
        tiles += each.tiles
    if part:
        yield part


def _line(
    errand: _Errand,
    schema: LabelSchema,
    said: Mapping[str, Known],
    there: Mapping[str, Sequence[Place]],
    report: Report,
) -> bytes:
    """What is to be written of some tiles, as `_write` takes it."""
    kind, seen = errand.project.kind, list[Seen]()
    for each in said.values():
        try:
            seen += seen_on_tiles(kind, schema, [each], there, most=MOST_OBJECTS * TILES_AT_ONCE)
        except TooMuch as error:
            report.refuse(each, "too-many-objects", error.detail)
    if errand.made.purpose is Purpose.GOLD:
        rows = gold_import.cut(kind, schema, seen)
    else:
        rows = predictions.cut(schema, seen)
    named = {each.place.task_id: each.name for each in seen}
    line = {
        "tiles": [[name, said[name].at, len(places)] for name, places in there.items()],
        "rows": [[named[row.task_id], *row] for row in rows],
    }
    return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)  # of ids


async def _write(errand: _Errand, report: Report) -> None:
    """All of it or nothing. No launch may open a task meanwhile, so the project is locked."""
    async with db.transaction(errand.sessions) as session:
        import_, of = AnnotationImport.id == errand.made.id, Project.id == errand.project.id
        project = (await session.scalars(db.locking(select(Project).where(of)))).one()
        made = (await session.scalars(db.locking(select(AnnotationImport).where(import_)))).one()
        if made.state is not AnnotationImportState.RUNNING:
            return
        refuse_unfit(project, made.purpose)
        await report.begin(session)
        for line in lines_of(errand.at("cuts")):
            by_image = defaultdict[str, list[Row]](list)
            for name, *row in line["rows"]:
                by_image[name].append(_row(row))
            whole = [each for each in line["tiles"] if each[0] not in report.short]
            rows = [row for name, *_ in whole for row in by_image[name]]
            if made.purpose is Purpose.GOLD:
                actor = made.created_by
                _, taken = await gold_import.put(session, project.id, rows, actor_id=actor)
            else:
                taken = await predictions.put(session, project.id, rows)
            for name, at, tiles in whole:
                await report.take(session, name, at, tiles, by_image[name], taken)
        await report.end_done(session)


def _row(values: Sequence[Any]) -> Row:
    task_id, tile_id, is_new, expected, subject = values
    return Row(UUID(task_id), UUID(tile_id), is_new, expected, subject)


async def fail_held(context: JobContext) -> None:
    """Refuse the imports whose job was given up on: nobody shall wait for them for ever."""
    async with db.reading(context.sessions) as reader:
        held = await jobs.held(
            reader, limit=MOST_HELD, prefix="quality.import_annotations", alone=True
        )
    ids = [UUID(job.payload["import_id"]) for job in held]
    async with db.transaction(context.sessions) as session:
        refused = (
            await session.execute(
                update(AnnotationImport)
                .where(
                    AnnotationImport.id.in_(ids),
                    AnnotationImport.state == AnnotationImportState.RUNNING,
                )
                .values(
                    state=AnnotationImportState.REFUSED,
                    reason_code="our-fault",
                    reason=OUR_FAULT,
                    finished_at=func.now(),
                )
                .returning(AnnotationImport.project_id, AnnotationImport.id)
            )
        ).all()
    await context.store.delete_many([keys.import_file(*each) for each in refused])
