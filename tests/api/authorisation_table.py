"""Who may call what. A route that is not in here fails the tests.

`who` are roles: those of an organisation's members and keys, of earners, or of the platform.
`status` is what somebody gets who may, for an object of their own. All the rest follows by rule:

- without a good token: 401, whatever else there is to say;
- an object of somebody else, and one that does not exist: 404, and the two cannot be told apart;
- an object of one's own organisation, but the role lacks the right: 403;
- of what is for another kind of caller altogether: 403.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tessera.accounts.roles import Right
from tests.world import BOX_SCHEMA, PASSWORD, RIGHT, coco

ID = re.compile(r"\{(\w+)\}")
ANYBODY = frozenset({"anybody"})
"""Without a token, too."""
EVERYBODY = frozenset({"everybody"})
"""With any good token."""


def _with(right: Right, *roles: str) -> frozenset[str]:
    """Members in these roles, and keys made for all scopes or for this one alone."""
    return frozenset({*roles, "full key", f"{right} key"})


READ = _with(Right.PROJECTS_READ, "owner", "manager", "reviewer")
WRITE = _with(Right.PROJECTS_WRITE, "owner", "manager")
SPEND = _with(Right.SPEND, "owner", "manager")
DATASETS = _with(Right.DATASETS, "owner", "manager")
REVIEW = _with(Right.REVIEW, "owner", "manager", "reviewer")
REVIEWERS = frozenset({"owner", "manager", "reviewer"})
"""People, as they decide about people."""
MONEY = _with(Right.MONEY_READ, "owner", "manager", "finance")
OWNER = frozenset({"owner"})
OPERATORS = frozenset({"owner", "manager", "reviewer", "finance", "platform", "platform's manager"})
EARNERS = frozenset({"earner"})
PLATFORM = frozenset({"platform"})
PEOPLE = OPERATORS | EARNERS
"""Not their API keys."""


@dataclass(frozen=True)
class Row:
    who: frozenset[str]
    status: int
    body: Any = None
    """`{name}` stands for an id of whoever the object of the call belongs to."""
    shared: bool = False
    """There is no owner: whoever may call this may name any object."""
    unknown: int = 404
    """Status for objects that do not exist, or are somebody else's."""


_PROJECT = {
    "name": "Coins",
    "kind": "box",
    "label_schema": BOX_SCHEMA,
    "currency": "USD",
    "price_micro": 20_000,
}
_DEPOSIT = {
    "organisation_id": "{organisation_id}",
    "amount_micro": 1,
    "currency": "USD",
    "reference": "bank 1",
}
_ANSWER = {"lease_id": "{lease_id}", "fence": "{fence}", "outcome": "answered", "answer": RIGHT}
_SIGN_UP = {
    "email": "new@example.org",
    "password": "long enough",
    "name": "New",
    "kind": "earner",
}
_LOG_IN = {"email": "nobody@example.org", "password": "wrong"}
_PASSWORD = {"current_password": PASSWORD, "new_password": "another long one"}
_KEY = {"name": "program", "scopes": ["projects:read"]}
_ROLE = {"role": "manager"}
_BANK = {"rail": "manual", "details": {"holder": "Ada", "iban": "DE89370400440532013000"}}
_FILES = {"files": [{"name": "1.jpg", "content_type": "image/jpeg"}]}
_IMAGE = {"file_name": "000.jpg", "objects": []}
_HINT = {"hint": "Coins are round."}
_ANNOTATIONS = {"purpose": "gold", "format": "coco", "size": 1}

_ORGANISATION = "/v1/organisations/{organisation_id}"
_OF_PROJECT = "/v1/projects/{project_id}"
_AUDIT = _OF_PROJECT + "/audits/{audit_id}"
_BATCH = "/v1/finance/payout-batches/{batch_id}"
_ITEM = _BATCH + "/items/{payout_id}"

TABLE: Mapping[str, Row] = {
    "GET /healthz": Row(ANYBODY, 200),
    "GET /readyz": Row(ANYBODY, 200),
    "GET /metrics": Row(ANYBODY, 200),
    "GET /openapi.json": Row(ANYBODY, 200),
    "GET /docs": Row(ANYBODY, 200),
    "POST /v1/sign-up": Row(ANYBODY, 201, _SIGN_UP),
    "POST /v1/sessions": Row(ANYBODY, 401, _LOG_IN),
    "DELETE /v1/sessions/current": Row(PEOPLE, 204),
    "GET /v1/me": Row(EVERYBODY, 200),
    "PUT /v1/me/password": Row(PEOPLE, 204, _PASSWORD),
    "POST /v1/organisations": Row(OPERATORS, 201, {"name": "Another"}),
    "GET /v1/organisations": Row(EVERYBODY, 200),
    f"GET {_ORGANISATION}/members": Row(OWNER, 200),
    f"PATCH {_ORGANISATION}/members/{{person_id}}": Row(OWNER, 200, _ROLE),
    f"DELETE {_ORGANISATION}/members/{{person_id}}": Row(OWNER, 204),
    f"POST {_ORGANISATION}/invitations": Row(OWNER, 201, _ROLE),
    f"GET {_ORGANISATION}/invitations": Row(OWNER, 200),
    f"DELETE {_ORGANISATION}/invitations/{{invitation_id}}": Row(OWNER, 204),
    "POST /v1/invitations/accept": Row(OPERATORS, 404, {"token": "none"}),
    f"POST {_ORGANISATION}/api-keys": Row(OWNER, 201, _KEY),
    f"GET {_ORGANISATION}/api-keys": Row(OWNER, 200),
    f"DELETE {_ORGANISATION}/api-keys/{{key_id}}": Row(OWNER, 204),
    f"GET {_ORGANISATION}/balance": Row(MONEY, 200),
    f"GET {_ORGANISATION}/statement": Row(MONEY, 200),
    f"POST {_ORGANISATION}/projects": Row(WRITE, 201, _PROJECT),
    f"GET {_ORGANISATION}/projects": Row(READ, 200),
    f"GET {_OF_PROJECT}": Row(READ, 200),
    f"PATCH {_OF_PROJECT}": Row(WRITE, 200, {"name": "Renamed"}),
    f"GET {_OF_PROJECT}/estimate": Row(READ, 200),
    f"POST {_OF_PROJECT}/launch": Row(SPEND, 409),
    f"POST {_OF_PROJECT}/pause": Row(WRITE, 200),
    f"POST {_OF_PROJECT}/resume": Row(WRITE, 409),
    f"POST {_OF_PROJECT}/complete": Row(WRITE, 200),
    f"GET {_OF_PROJECT}/progress": Row(READ, 200),
    f"POST {_OF_PROJECT}/images": Row(WRITE, 200, _FILES),
    f"POST {_OF_PROJECT}/images/uploaded": Row(WRITE, 202, {"image_ids": ["{image_id}"]}),
    f"GET {_OF_PROJECT}/images": Row(READ, 200),
    "GET /v1/images/{image_id}": Row(READ, 200),
    "GET /v1/images/{image_id}/tiles": Row(READ, 200),
    f"POST {_OF_PROJECT}/imports": Row(WRITE, 201, {"source": "zip"}),
    "POST /v1/imports/{import_id}/uploaded": Row(WRITE, 202),
    "GET /v1/imports/{import_id}": Row(READ, 200),
    f"GET {_OF_PROJECT}/quality/dry-run": Row(WRITE, 409),
    f"POST {_OF_PROJECT}/gold": Row(WRITE, 201, {"coco": coco(["000.jpg"])}),
    f"POST {_OF_PROJECT}/predictions": Row(WRITE, 409, {"images": [_IMAGE]}),
    f"POST {_OF_PROJECT}/annotation-imports": Row(WRITE, 201, _ANNOTATIONS),
    "POST /v1/annotation-imports/{annotation_import_id}/uploaded": Row(WRITE, 202),
    "GET /v1/annotation-imports/{annotation_import_id}": Row(READ, 200),
    "POST /v1/tasks/{task_id}/gold": Row(WRITE, 409),
    "POST /v1/tasks/{task_id}/gold/wrong": Row(WRITE, 409, {"reason": "It is a dog."}),
    f"GET {_OF_PROJECT}/gold": Row(READ, 200),
    "PUT /v1/tasks/{task_id}/training": Row(WRITE, 409, _HINT),
    "DELETE /v1/tasks/{task_id}/training": Row(WRITE, 409),
    f"GET {_OF_PROJECT}/training": Row(READ, 200),
    f"GET {_OF_PROJECT}/tasks": Row(READ, 200),
    "GET /v1/tasks/{task_id}": Row(READ, 200),
    f"GET {_OF_PROJECT}/review": Row(REVIEW, 200),
    "GET /v1/tasks/{task_id}/review": Row(REVIEW, 200),
    "POST /v1/tasks/{task_id}/review": Row(REVIEW, 422, {"label": {}}),
    f"GET {_OF_PROJECT}/second-opinions/next": Row(REVIEW, 200),
    f"POST {_OF_PROJECT}/second-opinions/tasks/{{task_id}}": Row(REVIEW, 409, {"unusable": True}),
    f"GET {_OF_PROJECT}/reviews": Row(REVIEW, 200),
    f"GET {_OF_PROJECT}/reviewers": Row(REVIEW, 200),
    f"POST {_OF_PROJECT}/audits": Row(REVIEW, 422, {"size": 1}),
    f"GET {_OF_PROJECT}/audits": Row(REVIEW, 200),
    f"GET {_AUDIT}": Row(REVIEW, 200),
    f"GET {_AUDIT}/tasks": Row(REVIEW, 200),
    f"GET {_AUDIT}/next": Row(REVIEW, 200),
    f"POST {_AUDIT}/tasks/{{sampled_id}}": Row(REVIEW, 200, {"unusable": True}),
    f"GET {_OF_PROJECT}/quality": Row(READ, 200),
    f"POST {_OF_PROJECT}/datasets": Row(DATASETS, 202),
    "GET /v1/dataset-runs/{run_id}": Row(DATASETS, 200),
    f"GET {_OF_PROJECT}/datasets": Row(DATASETS, 200),
    "GET /v1/datasets/{dataset_id}": Row(DATASETS, 200),
    "GET /v1/datasets/{dataset_id}/files": Row(DATASETS, 200),
    "POST /v1/datasets/{dataset_id}/verify": Row(DATASETS, 202),
    "GET /v1/work/offers": Row(EARNERS, 200),
    "GET /v1/work/offers/{project_id}": Row(EARNERS, 200, shared=True),
    "POST /v1/work/leases": Row(EARNERS, 200, {"project_id": "{project_id}"}, shared=True),
    "GET /v1/work/leases": Row(EARNERS, 200),
    "POST /v1/work/leases/extend": Row(EARNERS, 200, {"lease_ids": ["{lease_id}"]}, unknown=200),
    "POST /v1/work/leases/return": Row(
        EARNERS, 200, {"lease_ids": ["{lease_id}"], "reason": "skip"}, unknown=200
    ),
    "POST /v1/work/answers": Row(EARNERS, 200, {"answers": [_ANSWER]}),
    "GET /v1/decisions": Row(EARNERS, 200),
    "GET /v1/decisions/export": Row(EARNERS, 200),
    "GET /v1/decisions/{decision_id}": Row(EARNERS, 200),
    "POST /v1/decisions/{decision_id}/contest": Row(EARNERS, 200, {"text": "I looked."}),
    "GET /v1/work/repairs": Row(EARNERS, 200),
    "POST /v1/work/repairs/{lease_id}": Row(EARNERS, 404, {"answer": RIGHT}),
    f"GET {_OF_PROJECT}/earners": Row(REVIEW, 200),
    f"GET {_OF_PROJECT}/cases": Row(REVIEW, 200),
    f"POST {_OF_PROJECT}/earners/{{earner_id}}/decision": Row(
        REVIEWERS, 200, {"outcome": "stop", "reason": "Copied."}
    ),
    f"GET {_OF_PROJECT}/contests": Row(REVIEW, 200),
    "POST /v1/contests/{decision_id}": Row(
        REVIEWERS, 409, {"upheld": True, "answer": "You are right."}
    ),
    f"GET {_OF_PROJECT}/policies": Row(READ, 200),
    "GET /v1/work/training/{project_id}": Row(EARNERS, 200, shared=True),
    "POST /v1/work/training/{project_id}/attempts": Row(EARNERS, 409, shared=True),
    "POST /v1/work/training/{project_id}/answers": Row(EARNERS, 404, _ANSWER, shared=True),
    "GET /v1/earnings": Row(EARNERS, 200),
    "GET /v1/earnings/balance": Row(EARNERS, 200),
    "PUT /v1/payout-destination": Row(EARNERS, 200, _BANK),
    "GET /v1/payout-destination": Row(EARNERS, 200),
    "POST /v1/payouts": Row(EARNERS, 201, {"currency": "USD"}),
    "GET /v1/payouts": Row(EARNERS, 200),
    "POST /v1/payouts/{payout_id}/cancel": Row(EARNERS, 409),
    "POST /v1/finance/deposits": Row(PLATFORM, 201, _DEPOSIT, shared=True),
    "POST /v1/finance/deposits/{transfer_id}/reversal": Row(
        PLATFORM, 409, {"reason": "Reserved meanwhile."}, shared=True
    ),
    "POST /v1/finance/payout-batches": Row(PLATFORM, 409, {"currency": "USD"}),
    "GET /v1/finance/payout-batches": Row(PLATFORM, 200),
    f"GET {_BATCH}": Row(PLATFORM, 200, shared=True),
    f"GET {_BATCH}/items": Row(PLATFORM, 200, shared=True),
    f"DELETE {_ITEM}": Row(PLATFORM, 200, shared=True),
    f"POST {_BATCH}/approve": Row(PLATFORM, 200, {"items_sha256": "{items_sha256}"}, shared=True),
    f"POST {_BATCH}/cancel": Row(PLATFORM, 200, shared=True),
    f"POST {_BATCH}/export": Row(PLATFORM, 409, shared=True),
    f"POST {_BATCH}/settled": Row(PLATFORM, 409, {"payout_ids": ["{payout_id}"]}, shared=True),
    f"POST {_ITEM}/returned": Row(PLATFORM, 409, {"reason": "Closed."}, shared=True),
}


def filled(body: Any, place: Mapping[str, Any]) -> Any:
    """A body with ids in place of their names."""
    if isinstance(body, dict):
        return {name: filled(value, place) for name, value in body.items()}
    if isinstance(body, list):
        return [filled(each, place) for each in body]
    name = ID.fullmatch(body) if isinstance(body, str) else None
    return place[name[1]] if name else body
