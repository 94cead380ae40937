"""Looking at how people answer, and at contests, as jobs and sweeps."""

from uuid import UUID

import numpy as np

from tessera.conduct import contests, watching
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.kinds import parsed
from tessera.kinds.parts import InParts, parts_of
from tessera.projects.models import Project, ProjectState
from tessera.quality import answered, answered_parts, estimating, repairs
from tessera.quality.answered import Answered
from tessera.storage.context import JobContext
from tessera.truth.votes import Indices

TOGETHER = 50
"""Earners, or tasks, of one transaction."""
OVERDUE = 1_000
"""Contests of one sweep."""


async def watch(context: JobContext, run: Run) -> None:
    """Look at the answers of a project; if killed, the next run changes nothing twice."""
    project_id = UUID(run.payload["project_id"])
    async with db.reading(context.sessions) as reader:
        project = await reader.get_one(Project, project_id)
    if project.state is ProjectState.COMPLETED:
        return
    found, work = await _answered(context, project)
    # another transaction: that one had its plans made for reading everything
    async with db.reading(context.sessions) as reader:
        keys = await watching.keys_of(reader, found)
        sizes = await watching.sizes_of(reader, project, found, work)
        before = await watching.suspected(reader, project_id)
    told = await watching.unusual(found, keys, sizes)
    concerned = sorted(before | told.keys())
    for start in range(0, len(concerned), TOGETHER):
        async with db.transaction(context.sessions) as session:
            await watching.note(session, project_id, concerned[start : start + TOGETHER], told)


async def _answered(context: JobContext, project: Project) -> tuple[Answered, Indices]:
    """All answers that say one thing, or one thing of each of some; and how much there was to do.

    To whatever was decided about them: as they once arrived.
    """
    asks = estimating.choices_of(project)
    if asks is not None:
        async with db.reading(context.sessions) as reader:
            found = await answered.answered(reader, project, *asks, everything=True)
        return found, np.zeros(len(found.tasks), dtype=np.int64)
    parts = parts_of(project.kind, parsed(project.label_schema))
    assert parts is not None  # noqa: S101 - a kind says one thing or several
    few = await _items(context, project, parts, most=TOGETHER)
    items = await _items(context, project, parts, most=answered_parts.affordable(few))
    return answered_parts.together(items)


async def _items(
    context: JobContext, project: Project, parts: InParts, *, most: int
) -> list[answered_parts.Item]:
    async with db.reading(context.sessions) as reader:
        window = await answered_parts.window(reader, project.id, most=most)
        task_ids = await answered_parts.tasks(reader, project.id, window)
    items = list[answered_parts.Item]()
    for start in range(0, len(task_ids), TOGETHER):
        some = task_ids[start : start + TOGETHER]
        async with db.reading(context.sessions) as reader:
            items += await answered_parts.items(reader, project, parts, some, window)
    return items


async def uphold_overdue(context: JobContext) -> None:
    """Each by itself: one that fails holds up no other.

    Raises:
        ExceptionGroup: Some failed; the others are done nevertheless.
    """
    async with db.reading(context.sessions) as reader:
        overdue = await contests.overdue(reader, limit=OVERDUE)
    failures = []
    for decision_id in overdue:
        try:
            async with db.transaction(context.sessions) as session:
                await contests.uphold(session, decision_id)
        except Exception as failure:  # noqa: BLE001 - one person's trouble is not the others'
            failures.append(failure)
    if failures:
        raise ExceptionGroup("some overdue contests are left as they were", failures)


async def decide_repairs(context: JobContext) -> None:
    done = repairs.MOST
    while done == repairs.MOST:
        async with db.transaction(context.sessions) as session:
            done = await repairs.decide_due(session)
