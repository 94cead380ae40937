"""What a worker shows to whoever watches it."""

from pathlib import Path

from sqlalchemy import text

from tessera.kernel import db, jobs
from tessera.kernel.settings import Settings
from tests.assignment.crowd import RIGHT, Earner, a_project, settle_all
from tests.kernel.test_jobs_run import value
from tests.kernel.working import eventually, working
from tests.workers.process import a_worker
from workers import metrics


async def test_a_worker_serves_what_it_measures(
    sessions: db.Sessions, settings: Settings, tmp_path: Path
) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(text("DELETE FROM pgqueuer_schedules"))
        await jobs.enqueue(session, "nobodys", payload={})
        await jobs.enqueue(session, "quality.ask_others", payload={})
    with a_worker(settings, tmp_path / "log") as worker:
        assert await worker.until_it_shows("tessera_invariant_broken", invariant="place-twice") == 0
        assert await worker.until_it_shows("tessera_jobs", name="nobodys", status="queued") == 1
        assert await worker.until_it_shows("tessera_job_oldest_seconds", name="nobodys") > 0
        assert await worker.until_it_shows("tessera_settle_lag_seconds") == 0
        for name, labels in (
            ("tessera_job_seconds_count", {"name": "quality.ask_others", "outcome": "retried"}),
            ("tessera_sweep_seconds_count", {"name": "check-invariants", "outcome": "done"}),
        ):
            assert await worker.until_it_shows(name, **labels) >= 1


async def test_settle_lag_is_how_long_an_answer_has_waited_to_be_looked_at(
    sessions: db.Sessions, database_url: str
) -> None:
    project_id = await a_project(sessions, tasks=1, min_overlap=2)
    earner = Earner(sessions)
    await earner.answer(await earner.lease(project_id), RIGHT)
    async with db.transaction(sessions) as session:
        await session.execute(text("UPDATE pgqueuer SET created = now() - interval '1 hour'"))
    for status in ("queued", "picked", "failed"):
        async with db.transaction(sessions) as session:
            # picked by somebody else, who is alive
            await session.execute(
                text("UPDATE pgqueuer SET status = CAST(:s AS pgqueuer_status), heartbeat = now()"),
                {"s": status},
            )
        await lag_is(database_url, at_least=3600, below=3700)


async def test_an_answer_that_waits_for_a_second_opinion_is_no_lag(
    sessions: db.Sessions, database_url: str
) -> None:
    project_id = await a_project(sessions, tasks=1, min_overlap=2)
    earner = Earner(sessions)
    await earner.answer(await earner.lease(project_id), RIGHT)
    await settle_all(sessions, project_id)
    async with db.transaction(sessions) as session:
        await session.execute(text("DELETE FROM pgqueuer"))
        await session.execute(text("UPDATE answers SET answered_at = now() - interval '1 hour'"))
        verdicts = await session.scalars(text("SELECT verdict FROM answers"))
        assert list(verdicts) == ["pending"]
    await lag_is(database_url, at_least=0, below=1)


async def lag_is(database_url: str, *, at_least: float, below: float) -> None:
    """As a worker shows it that has just been started, and takes no jobs."""
    metrics.SETTLE_LAG.set(-1)
    async with working(database_url, {}):
        await eventually(lambda: (value("tessera_settle_lag_seconds") or 0) != -1)
    assert at_least <= (value("tessera_settle_lag_seconds") or 0) < below
