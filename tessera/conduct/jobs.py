"""Looking at how people answer, and at contests, as jobs and sweeps."""

from uuid import UUID

from tessera.conduct import contests, watching
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.projects.models import Project, ProjectState
from tessera.quality import answered, estimating, repairs
from tessera.storage.context import JobContext

TOGETHER = 50
"""Earners of one transaction."""
OVERDUE = 1_000
"""Contests of one sweep."""


async def watch(context: JobContext, run: Run) -> None:
    """Look at all answers of a project; if killed, the next run changes nothing twice."""
    project_id = UUID(run.payload["project_id"])
    async with db.reading(context.sessions) as reader:
        project = await reader.get_one(Project, project_id)
        asks = estimating.choices_of(project)
        if asks is None or project.state is ProjectState.COMPLETED:
            return
        found = await answered.answered(reader, project, *asks, everything=True)
    # another transaction: that one had its plans made for reading everything
    async with db.reading(context.sessions) as reader:
        keys = await watching.keys_of(reader, found)
        sizes = await watching.sizes_of(reader, project, found)
        before = await watching.suspected(reader, project_id)
    if not len(found.votes):
        return
    told = await watching.unusual(found, keys, sizes)
    concerned = sorted(before | told.keys())
    for start in range(0, len(concerned), TOGETHER):
        async with db.transaction(context.sessions) as session:
            await watching.note(session, project_id, concerned[start : start + TOGETHER], told)


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
