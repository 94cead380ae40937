"""Every route of the live router, called by everybody, for objects of everybody."""

import json
from typing import Any, cast

import pytest
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient, Response

from api.app import create_app
from tessera.accounts.roles import KEY_SCOPES
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Store
from tests.api.authorisation_table import ANYBODY, EVERYBODY, ID, TABLE, Row, filled
from tests.api.tenants import Place, Tenants, nowhere

REFUSED = {
    "nobody",
    "malformed token",
    "expired session",
    "revoked session",
    "disabled person",
    "revoked key",
}
NARROW = {f"{scope} key" for scope in KEY_SCOPES}
OF_TENANT_B = {"stranger": "owner", "stranger's key": "full key", "other earner": "earner"}
NO_MEMBERS = {"earner", "other earner", "platform", "platform's manager"}
CHANGING_HEADERS = {"x-request-id", "date"}
CHANGING_FACTS = {"instance", "server_time"}


def test_every_route_is_in_the_table_and_nothing_else(settings: Settings, store: Store) -> None:
    app = create_app(settings, cast("Any", None), store)
    live = {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in route.methods or {"ANY"}  # a mount, a websocket
    }
    heads = {"HEAD" + route.removeprefix("GET") for route in TABLE}  # GET without its body
    assert live - heads == set(TABLE)


@pytest.mark.parametrize("route", TABLE)
async def test_everybody_gets_what_the_table_says(
    route: str, undone: AsyncClient, tenants: Tenants
) -> None:
    row = TABLE[route]
    places = {"a": tenants.a, "b": tenants.b, "nowhere": nowhere(tenants.a)}
    wrong: list[tuple[object, ...]] = []
    for caller, token in tenants.callers.items():
        answers = {}
        for name in tellable(route, row, caller):
            answers[name] = await call(undone, token, route, row, places[name])
            wanted = expected(route, row, caller, name)
            if answers[name].status_code != wanted:
                wrong.append((caller, name, wanted, answers[name].status_code, answers[name].text))
        wrong += [
            (caller, name, "differs from nowhere", told(answers[name]), told(answers["nowhere"]))
            for name in answers
            if expected(route, row, caller, name) == row.unknown != row.status
            and told(answers[name]) != told(answers["nowhere"])
        ]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize(
    ("route", "inner"),
    [
        ("DELETE /v1/organisations/{organisation_id}/members/{person_id}", "person_id"),
        ("PATCH /v1/organisations/{organisation_id}/members/{person_id}", "person_id"),
        (
            "DELETE /v1/organisations/{organisation_id}/invitations/{invitation_id}",
            "invitation_id",
        ),
        ("DELETE /v1/organisations/{organisation_id}/api-keys/{key_id}", "key_id"),
        ("POST /v1/projects/{project_id}/images/uploaded", "image_id"),
    ],
)
async def test_an_object_of_others_is_not_found_through_ones_own_either(
    route: str, inner: str, undone: AsyncClient, tenants: Tenants
) -> None:
    token = tenants.callers["owner"]
    theirs, missing = [
        await call(undone, token, route, TABLE[route], {**tenants.a, inner: place[inner]})
        for place in (tenants.b, nowhere(tenants.b))
    ]
    assert told(theirs) == told(missing)
    assert theirs.status_code == 404


def tellable(route: str, row: Row, caller: str) -> list[str]:
    """The places between which a call can make a difference."""
    if caller in REFUSED | NARROW or not names_something(route, row):
        return ["a"]  # whose a thing is, is asked of a key with all scopes
    return ["a", "b", "nowhere"]


def expected(route: str, row: Row, caller: str, place: str) -> int:
    if row.who == ANYBODY:
        return row.status
    if caller in REFUSED:
        return 401
    role = OF_TENANT_B.get(caller, caller)
    may = role in row.who or row.who == EVERYBODY
    of_organisation = "owner" in row.who
    if names_something(route, row) and (may or of_organisation):
        home = "b" if caller in OF_TENANT_B else "a"
        own = place == home and not (of_organisation and caller in NO_MEMBERS)
        if place == "nowhere" or not (own or row.shared):
            return row.unknown
    return row.status if may else 403


def names_something(route: str, row: Row) -> bool:
    return bool(ID.search(route + json.dumps(row.body)))


async def call(http: AsyncClient, token: str, route: str, row: Row, place: Place) -> Response:
    method, path = route.split()
    return await http.request(
        method,
        path.format_map(place),
        json=filled(row.body, place),
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def told(response: Response) -> tuple[Any, ...]:
    """All that an answer says, but for what differs each time."""
    facts = {k: v for k, v in response.json().items() if k not in CHANGING_FACTS}
    headers = {k: v for k, v in response.headers.items() if k not in CHANGING_HEADERS}
    return response.status_code, facts, headers
