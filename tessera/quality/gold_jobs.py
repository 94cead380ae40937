"""Gold that is looked after: shown otherwise when enough people have seen it, and watched.

The jobs are enqueued by sweeps, which find again what a job did not do; so what the store cannot do
right now is left to the next one.
"""

import tempfile
from pathlib import Path
from uuid import UUID

import structlog

from tessera.images import views as pictures
from tessera.images.refusals import NoRoom, Refused
from tessera.images.tiling import Rect
from tessera.kernel import db, jobs
from tessera.kernel.errors import Unavailable
from tessera.kernel.jobs import Run
from tessera.quality import gold_decoys, gold_health, gold_views
from tessera.quality.gold_views import Family, Sight
from tessera.quality.models import NoView
from tessera.storage.context import JobContext
from tessera.storage.errors import ObjectNotFound
from tessera.truth.leaks import LEAKED

log = structlog.get_logger()


async def rotate_due(context: JobContext) -> None:
    """Have gold shown otherwise that enough people have seen."""
    async with db.reading(context.sessions) as reader:
        due = await gold_views.due(reader)
    async with db.transaction(context.sessions) as session:
        for project_id, task_id in due:
            payload = {"project_id": str(project_id), "task_id": str(task_id)}
            await jobs.enqueue(session, "quality.rotate_gold", payload=payload, key=str(task_id))


async def rotate_gold(context: JobContext, run: Run) -> None:
    """Make another picture of a gold task, and have it take its place.

    Killed at any point, or run twice at once: the same view has the same picture under the same
    key, and only one takes the place.
    """
    project_id, task_id = UUID(run.payload["project_id"]), UUID(run.payload["task_id"])
    async with db.reading(context.sessions) as reader:
        family = await gold_views.family_of(reader, project_id, task_id)
    if family is None:
        return
    try:
        why = family if isinstance(family, NoView) else await _rotate(context, family)
    except (Unavailable, NoRoom) as error:
        log.warning("gold.not_rotated", task_id=str(task_id), error=str(error))
        return
    if why is not None:
        async with db.transaction(context.sessions) as session:
            await gold_views.note_none(session, project_id, task_id, why)


async def check_due(context: JobContext) -> None:
    """Have gold looked at in all projects where it is answered."""
    async with db.reading(context.sessions) as reader:
        due = await gold_health.changed(reader)
    async with db.transaction(context.sessions) as session:
        for project_id in due:
            payload = {"project_id": str(project_id)}
            await jobs.enqueue(session, "quality.check_gold", payload=payload, key=str(project_id))


async def check_gold(context: JobContext, run: Run) -> None:
    """Note how each gold task is answered, and replace what has become known.

    If killed, the next run begins anew; what was replaced stays so.
    """
    project_id, after = UUID(run.payload["project_id"]), None
    async with db.reading(context.sessions) as reader:
        usual = await gold_health.tempo_of(reader, project_id)
    while True:
        async with db.reading(context.sessions) as reader:
            firsts = await gold_health.firsts_of(reader, project_id, after=after)
            found = await gold_health.health_of(reader, project_id, firsts, usual)
        async with db.transaction(context.sessions) as session:
            await gold_health.keep(session, project_id, found)
        for first in sorted(each for each in found if found[each].strength >= LEAKED):
            async with db.transaction(context.sessions) as session:
                await gold_health.replace_leaked(session, project_id, first)
        if len(firsts) < gold_health.AT_ONCE:
            return
        after = firsts[-1]


async def _rotate(context: JobContext, family: Family) -> NoView | None:
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
        try:
            made = await _made(context, family, Path(folder))
        except ObjectNotFound:
            return NoView.NO_FILE
        except Refused as refused:
            if refused.about_the_run:
                log.warning("gold.not_rotated", reason=refused.reason, evidence=refused.evidence)
                return None
            return NoView.NO_FILE
        if made is None:
            return NoView.USED_UP
        sight, picture = made
        content_type = family.source.content_type
        await context.store.put_file(picture.key, picture.path, content_type=content_type)
    await gold_decoys.store_again(context, family)
    async with db.transaction(context.sessions) as session:
        await gold_views.show_instead(session, family, sight, picture)
    return None


async def _made(
    context: JobContext, family: Family, folder: Path
) -> tuple[Sight, pictures.Picture] | None:
    """The first view whose picture is another one: on plain ground, one looks like the next."""
    file = folder / "file"
    await pictures.fetch(context, family.source, file)
    for sight in family.sights:
        picture = await pictures.cut(
            file,
            family.source,
            Rect(*sight.frame.window),
            mirror=sight.view.mirror,
            into=folder / "view",
        )
        if picture.key not in family.keys:
            return sight, picture
    return None
