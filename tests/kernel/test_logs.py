"""What goes wrong is told with its place, and without what it was done to."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from sqlalchemy import text

from tessera.kernel import db, jobs
from tessera.kernel.errors import Invalid
from tessera.kernel.logs import describe, place
from tests.kernel.telling import SECRET, through_sqlalchemy

CONSTRAINT = "ck_people_email_is_lower_case"


async def test_a_row_that_was_refused_is_neither_in_the_log_nor_in_what_is_kept_of_the_job(
    sessions: db.Sessions, database_url: str
) -> None:
    async with db.transaction(sessions) as session:
        for name in ("fail", "mistake"):
            await jobs.enqueue(session, name, payload={})
    told = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.kernel.telling"],
        env={**os.environ, "TESSERA_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    assert told.stderr == ""
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    by_event = {line["event"]: line for line in lines}
    for event in ("Task exception was never retrieved", "It did not work.", "process ended"):
        assert (by_event[event]["error"], by_event[event]["constraint"]) == (
            "CheckViolationError",
            CONSTRAINT,
        )
    assert by_event["sweep.failed"]["constraint"] == CONSTRAINT
    ended = [line for line in lines if line["event"] == "job.ended"]
    assert {(line["job"], line["outcome"], line["error"]) for line in ended} == {
        ("fail", "held", "IntegrityError"),
        ("fail", "retried", "IntegrityError"),
        ("mistake", "held", "DBAPIError"),
        ("mistake", "retried", "DBAPIError"),
    }
    async with db.reading(sessions) as reader:
        there = await jobs.held(reader)
        kept = (await reader.scalars(text("SELECT traceback::text FROM pgqueuer_log"))).all()
    held = {job.name: job.error for job in there}
    assert held == {"fail": f"IntegrityError 23514 {CONSTRAINT}", "mistake": "DBAPIError 22000"}
    assert "telling.py" in str(kept)
    assert {(line["job_id"], line["job"]) for line in ended} == {
        (job.id, job.name) for job in there
    }
    for place_ in (told.stdout, str(kept)):
        assert SECRET not in place_
        assert "DETAIL" not in place_


async def test_an_error_of_the_database_does_not_quote_parameters(sessions: db.Sessions) -> None:
    with pytest.raises(Exception, match=CONSTRAINT) as caught:
        await through_sqlalchemy(sessions)
    assert f"'{SECRET}'" not in str(caught.value), "Postgres' own detail has no quotes"


def test_what_led_to_an_error_is_told_too() -> None:
    def inner() -> None:
        raise KeyError(SECRET)

    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ExceptionGroup("two", [Invalid("No such class."), OSError(28, "no room")]) from (
                error
            )

    with pytest.raises(ExceptionGroup) as caught:
        outer()
    told = place(caught.value)
    assert told["error"] == "ExceptionGroup"
    for part in ("in outer", "in inner", "KeyError", "Invalid: No such class.", "OSError: no room"):
        assert part in told["traceback"]
    assert SECRET not in str(told)


def test_our_own_words_are_kept() -> None:
    assert describe(Invalid("No such class.")) == "Invalid: No such class."
    assert describe(ValueError(SECRET)) == "ValueError"
    error = KeyError()
    error.__cause__ = error
    assert place(error)["error"] == "KeyError", "a circle has an end"
