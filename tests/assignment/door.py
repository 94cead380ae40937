"""Leases and answers over HTTP."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tests.assignment.crowd import RIGHT
from tests.client import As

Json = dict[str, Any]


async def lease(earner: As, project_id: UUID | str | None = None, count: int = 10) -> list[Json]:
    handed = await earner.post("/v1/work/leases", wanted(project_id, count))
    leases: list[Json] = handed["leases"]
    return leases


def wanted(project_id: UUID | str | None = None, count: int = 10) -> Json:
    return {"project_id": str(project_id) if project_id else None, "count": count}


def given(lease: Json, value: Any = RIGHT, **changes: Any) -> Json:
    one = {"lease_id": lease["lease_id"], "fence": lease["fence"], "outcome": "answered"}
    return {**one, "answer": value, **changes}


async def answer(earner: As, *answers: Json) -> list[Json]:
    taken = await earner.post("/v1/work/answers", {"answers": list(answers)})
    results: list[Json] = taken["results"]
    return results


async def refused(earner: As, one: Json) -> Json:
    """The problem that a single answer comes back with."""
    response = await earner.call("POST", "/v1/work/answers", {"answers": [one]})
    problem: Json = response.json()
    assert response.headers["content-type"] == "application/problem+json", problem
    assert response.status_code == problem["status"]
    return problem


def codes(results: Sequence[Json]) -> list[str | None]:
    return [each["problem"]["code"] if each["problem"] else None for each in results]
