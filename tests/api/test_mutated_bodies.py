"""Good requests with one thing wrong: each value of each body in turn, replaced by odd ones.

Schemas of JSON inside JSON (label schemas, answers, COCO files, bank details) are not in the
OpenAPI document, so what reads its way through it never gets past their front door; this does.
"""

from collections.abc import Iterator
from itertools import islice
from random import randrange
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.api.authorisation_table import TABLE, filled
from tests.api.tenants import Tenants
from tests.world import RIGHT, coco

DEEP: Any = 0
for _ in range(60):
    DEEP = [DEEP]
ODD: list[Any] = [
    None,
    True,
    -1,
    1.5,
    1e308,
    2**63 - 1,
    "",
    "\u202e\ufeff\u0001\U0010ffff",
    "x" * 3000,
    [],
    [None],
    {},
    {"": None},
    DEEP,
]
LABELS = {
    "classes": [
        {
            "id": 1,
            "name": "coin",
            "colour": "#e6194b",
            "attributes": [{"name": "worn", "values": ["yes", "no"]}],
        },
        {"id": 2, "name": "cup", "colour": "#3cb44b"},
    ],
    "multiple": False,
}
_BOX = {"class": 1, "box": [20, 20, 80, 60], "attributes": {}}
_ANSWER = {
    "lease_id": "{lease_id}",
    "fence": "{fence}",
    "outcome": "answered",
    "answer": {"objects": [_BOX]},
    "seconds": 3.5,
}
_NEW = TABLE["POST /v1/organisations/{organisation_id}/projects"].body
_POLICY = {
    "gold_share": 0.1,
    "min_overlap": 2,
    "max_overlap": 5,
    "redo": 2,
    "target_confidence": 0.9,
    "minimum_trust": 0.6,
    "importance": {"1": 2.5},
    "second_opinions": 0.2,
    "gold_exposure": 30,
    "may_flip": False,
    "training_tasks": 5,
    "training_pass": 0.8,
    "training_places": 50,
}
_CUT = {"whole": False, "tile": 512, "margin": 32, "format": "jpeg", "quality": 90}
_COIN = {"class": 1, "box": [20, 20, 60, 60], "attributes": {}}
GOOD: list[tuple[str, str, Any]] = [
    (
        "owner",
        "POST /v1/organisations/{organisation_id}/projects",
        {**_NEW, "label_schema": LABELS, "quality": _POLICY, "slicing": _CUT},
    ),
    (
        "owner",
        "POST /v1/organisations/{organisation_id}/projects",
        {**_NEW, "kind": "classify", "label_schema": {**LABELS, "of_tiles": "any"}},
    ),
    ("owner", "PATCH /v1/projects/{draft_id}", {"label_schema": LABELS, "quality": _POLICY}),
    ("owner", "POST /v1/projects/{draft_id}/gold", {"coco": coco(["000.jpg"])}),
    (
        "owner",
        "POST /v1/projects/{verifying_id}/predictions",
        {"images": [{"file_name": "000.jpg", "objects": [{**_COIN, "confidence": 0.5}]}]},
    ),
    ("owner", "POST /v1/projects/{verifying_id}/gold", {"coco": coco(["000.jpg"])}),
    (
        "owner",
        "POST /v1/projects/{verifying_id}/annotation-imports",
        {"purpose": "gold", "format": "coco", "size": 9, "sha256": "0" * 64, "partial": True},
    ),
    ("owner", "PUT /v1/tasks/{known_id}/training", {"hint": "Coins are round."}),
    ("owner", "POST /v1/tasks/{disputed_id}/review", {"label": RIGHT, "gold": False}),
    (
        "owner",
        "POST /v1/projects/{project_id}/audits/{audit_id}/tasks/{sampled_id}",
        {"label": RIGHT},
    ),
    ("owner", "POST /v1/projects/{project_id}/imports", {"source": "zip", "prefix": "a/"}),
    ("earner", "POST /v1/work/answers", {"answers": [_ANSWER]}),
    (
        "earner",
        "PUT /v1/payout-destination",
        {"rail": "manual", "details": {"holder": "Ada", "account": "1234 567"}},
    ),
    ("earner", "POST /v1/payouts", {"currency": "USD", "amount_micro": 5_000_000}),
]


def mutants(value: Any) -> Iterator[Any]:
    """The value with one part of it replaced by something odd, left out, or doubled."""
    yield from ODD
    if isinstance(value, dict):
        for name, part in value.items():
            rest = {key: each for key, each in value.items() if key != name}
            yield rest
            yield from ({**value, name: mutant} for mutant in mutants(part))
    if isinstance(value, list):
        yield value * 2
        for i, part in enumerate(value):
            yield from ([*value[:i], mutant, *value[i + 1 :]] for mutant in mutants(part))


@pytest.mark.parametrize("one_of", [6, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("who", "route", "body"), GOOD, ids=[route for _, route, _ in GOOD])
async def test_nothing_that_is_wrong_in_a_body_breaks_anything(
    who: str, route: str, body: Any, one_of: int, undone: AsyncClient, tenants: Tenants
) -> None:
    """One of so many mutants, others in each run; all of them among the long tests."""
    method, path = route.split()
    headers = {"Authorization": f"Bearer {tenants.callers[who]}"}
    good = filled(body, tenants.a)
    broken = []
    for mutant in islice(mutants(good), randrange(one_of), None, one_of):
        got = await undone.request(method, path.format_map(tenants.a), json=mutant, headers=headers)
        problem = got.headers.get("content-type") == "application/problem+json"
        if got.is_server_error or got.is_client_error is not problem:
            broken.append((mutant, got.status_code, got.text))
    assert not broken, broken[:3]


@pytest.mark.parametrize(("who", "route", "body"), GOOD, ids=[route for _, route, _ in GOOD])
async def test_the_bodies_above_are_good_ones(
    who: str, route: str, body: Any, undone: AsyncClient, tenants: Tenants
) -> None:
    """Otherwise the mutants would not get far."""
    method, path = route.split()
    got = await undone.request(
        method,
        path.format_map(tenants.a),
        json=filled(body, tenants.a),
        headers={"Authorization": f"Bearer {tenants.callers[who]}", "Idempotency-Key": "once"},
    )
    assert got.is_success, got.text
