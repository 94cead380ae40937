"""Values that cannot be meant are refused: with a stable code, and without a trace."""

import asyncio
import base64
from typing import Any

from httpx2 import Response

from tessera.kernel import db
from tests.api.refusing import NO_COUNTS, refused, taken
from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.world import BOX_SCHEMA, World, photograph

PROJECT = {
    "name": "Coins",
    "kind": "box",
    "label_schema": BOX_SCHEMA,
    "currency": "USD",
    "price_micro": 20_000,
}
NO_NUMBERS = [b"NaN", b"1e400", b"-0", b"0x10", b"1_000", b"20000.0", b"2E4", b"+1", b"01"]
NO_PAGE_SIZES = ["0", "-1", "201", "1.5", "1e1", "٣", "", "many", "9" * 30]
NO_CURSORS = [
    "",
    "x",
    "é",
    "%00",
    base64.urlsafe_b64encode(b"2026-01-01 \0").decode(),
    base64.urlsafe_b64encode(b"2026-01-01T00:00:00 not-an-id").decode(),
    base64.urlsafe_b64encode(b"0001-01-01T00:00:00+14:00 " + b"0" * 32).decode(),
    base64.urlsafe_b64encode(b"9999-12-31T23:59:59-14:00 " + b"0" * 32).decode(),
    base64.urlsafe_b64encode("2026-01-01 ä".encode("latin-1")).decode(),
]
NO_PROJECTS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "telepathy"}, "unknown-kind"),
    ({"kind": ""}, "unknown-kind"),
    ({"kind": None}, "invalid-request"),
    ({"label_schema": {}}, "invalid-label-schema"),
    ({"label_schema": {"classes": []}}, "invalid-label-schema"),
    ({"label_schema": {"classes": [{"id": 0, "name": "coin"}]}}, "invalid-label-schema"),
    ({"label_schema": {"classes": [{"id": 1, "name": ""}]}}, "invalid-label-schema"),
    ({"label_schema": {"classes": [{"id": 1.5, "name": "coin"}]}}, "invalid-label-schema"),
    ({"label_schema": {"classes": "coin"}}, "invalid-label-schema"),
    ({"label_schema": {"classes": BOX_SCHEMA["classes"] * 2}}, "invalid-label-schema"),
    ({"label_schema": {**BOX_SCHEMA, "multiple": True}}, "invalid-label-schema"),
    ({"label_schema": {**BOX_SCHEMA, "of_tiles": "any"}}, "invalid-label-schema"),
    ({"label_schema": {**BOX_SCHEMA, "shapes": []}}, "invalid-label-schema"),
    ({"currency": "XXX"}, "unknown-currency"),
    ({"currency": "usd"}, "invalid-request"),
    ({"currency": "USDT"}, "invalid-request"),
    ({"currency": "€"}, "invalid-request"),
    ({"currency": 840}, "invalid-request"),
    ({"slicing": {"tile": 128, "margin": 64}}, "invalid-request"),
    ({"slicing": {"tile": 10**9}}, "invalid-request"),
    ({"quality": {"min_overlap": 3, "max_overlap": 2}}, "invalid-request"),
    ({"quality": {"gold_share": 1.5}}, "invalid-request"),
    ({"lease_seconds": 0}, "invalid-request"),
    ({"lease_seconds": "600"}, "invalid-request"),
    ({"name": " \t "}, "invalid-request"),
    ({"name": "n" * 201}, "invalid-request"),
    ({"instructions": "i" * 10_001}, "invalid-request"),
]


async def test_a_project_that_makes_no_sense_is_not_made(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    path = f"/v1/organisations/{organisation_id}/projects"
    async with nothing_changes(sessions):
        for changes, code in NO_PROJECTS:
            assert await taken(owner, "POST", path, [{**PROJECT, **changes}], code) == []


async def test_a_price_is_a_whole_number_above_zero(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    one = f"/v1/projects/{project['id']}"
    prices = [{"price_micro": price} for price in [*NO_COUNTS, 10**15 + 1]]
    async with nothing_changes(sessions):
        path = f"/v1/organisations/{organisation_id}/projects"
        assert await taken(owner, "POST", path, [PROJECT | price for price in prices]) == []
        assert await taken(owner, "PATCH", one, prices) == []
        for raw in NO_NUMBERS:
            got = await owner.http.patch(
                one,
                content=b'{"price_micro": ' + raw + b"}",
                headers={**owner.headers, "Content-Type": "application/json"},
            )
            assert refused(got), raw


async def test_a_deposit_is_a_whole_number_above_zero(world: World, sessions: db.Sessions) -> None:
    (finance,) = await world.finance(1)
    _, organisation_id = await world.operator()
    body = {"organisation_id": organisation_id, "currency": "USD", "reference": "bank 1"}
    bodies = [{**body, "amount_micro": amount} for amount in [*NO_COUNTS, 10**17 + 1]]
    async with nothing_changes(sessions):
        assert await taken(finance, "POST", "/v1/finance/deposits", bodies) == []


async def test_a_payout_is_a_whole_number_above_zero(world: World, sessions: db.Sessions) -> None:
    earner = await world.earner()
    bank = {"holder": "Ada", "iban": "DE89370400440532013000"}
    await earner.put("/v1/payout-destination", {"rail": "manual", "details": bank})
    bodies = [
        {"currency": "USD", "amount_micro": amount} for amount in NO_COUNTS if amount is not None
    ]
    async with nothing_changes(sessions):
        assert await taken(earner, "POST", "/v1/payouts", bodies) == []


async def test_a_number_of_tasks_is_a_small_whole_number(
    world: World, sessions: db.Sessions
) -> None:
    earner = await world.earner()
    bodies = [{"count": count} for count in [*NO_COUNTS, 51]]
    async with nothing_changes(sessions):
        assert await taken(earner, "POST", "/v1/work/leases", bodies) == []


async def test_a_page_has_1_to_200_items(world: World) -> None:
    earner = await world.earner()
    for limit in NO_PAGE_SIZES:
        assert refused(await earner.call("GET", f"/v1/earnings?limit={limit}")), limit


async def test_a_cursor_that_is_none_of_ours_is_refused_everywhere(world: World) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    (finance,) = await world.finance(1)
    earner = await world.earner()
    of_project = f"/v1/projects/{project['id']}"
    lists = [
        (owner, f"/v1/organisations/{organisation_id}/projects"),
        (owner, f"{of_project}/images"),
        (owner, f"{of_project}/review"),
        (owner, f"{of_project}/datasets"),
        (earner, "/v1/work/offers"),
        (earner, "/v1/earnings"),
        (earner, "/v1/payouts"),
        (finance, "/v1/finance/payout-batches"),
    ]
    for cursor in NO_CURSORS:
        for someone, path in lists:
            got = await someone.call("GET", f"{path}?cursor={cursor}")
            assert refused(got, code="bad-cursor"), (path, cursor, got.text)
        assert refused(await owner.call("GET", f"{of_project}/tasks?cursor={cursor}"))


async def test_what_users_write_comes_back_as_json_and_as_they_wrote_it(world: World) -> None:
    owner, organisation_id = await world.operator()
    script = "<script>alert(1)</script>"
    for text in (
        script,
        '"><img src=x onerror=alert(1)>',
        "{{7*7}}",
        "\u202egnp.exe",
        "👩🏽‍🚀",
        "ﷺ",
    ):
        project = await world.project(owner, organisation_id, name=text, instructions=text)
        got = await owner.call("GET", f"/v1/projects/{project['id']}")
        assert (got.json()["name"], got.json()["instructions"]) == (text, text)
        assert got.headers["content-type"] == "application/json"
        assert got.headers["x-content-type-options"] == "nosniff"


async def sliced(world: World, currency: str, micro: int) -> tuple[As, dict[str, Any]]:
    """A project in dollars with one task that waits, and a deposit."""
    owner, organisation_id = await world.operator()
    if micro:
        await world.deposit(organisation_id, micro, currency)
    project = await world.project(owner, organisation_id)
    await world.images(owner, project["id"], [("1.jpg", photograph())])
    return owner, project


def launch(owner: As, project: dict[str, Any]) -> Any:
    return owner.call("POST", f"/v1/projects/{project['id']}/launch")


async def test_money_in_another_currency_pays_for_nothing(
    world: World, sessions: db.Sessions
) -> None:
    owner, project = await sliced(world, "EUR", 10**9)
    async with nothing_changes(sessions):
        assert refused(await launch(owner, project), 409, "insufficient-funds")
    estimate = await owner.get(f"/v1/projects/{project['id']}/estimate")
    assert (estimate["currency"], estimate["available_micro"]) == ("USD", 0)


async def test_without_the_worst_case_in_funds_nothing_is_launched(
    world: World, sessions: db.Sessions
) -> None:
    owner, project = await sliced(world, "USD", 0)
    worst = (await owner.get(f"/v1/projects/{project['id']}/estimate"))["worst_micro"]
    await world.deposit(project["organisation_id"], worst - 1)
    async with nothing_changes(sessions):
        assert refused(await launch(owner, project), 409, "insufficient-funds")


async def test_however_often_it_is_launched_the_worst_case_is_reserved_once(world: World) -> None:
    owner, project = await sliced(world, "USD", 10**9)
    worst = (await owner.get(f"/v1/projects/{project['id']}/estimate"))["worst_micro"]
    got: list[Response] = await asyncio.gather(*(launch(owner, project) for _ in range(4)))
    assert 200 in {answer.status_code for answer in got}
    assert all(a.status_code == 200 or refused(a, 409, "nothing-to-launch") for a in got)
    await world.work.jobs()
    assert refused(await launch(owner, project), 409, "nothing-to-launch")
    money = await owner.get(f"/v1/organisations/{project['organisation_id']}/balance")
    assert money["available_micro"] == {"USD": 10**9 - worst}


async def test_without_images_there_is_nothing_to_launch(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    async with nothing_changes(sessions):
        assert refused(await launch(owner, project), 409, "nothing-to-launch")


async def test_what_launched_tasks_depend_on_cannot_be_edited(
    world: World, sessions: db.Sessions
) -> None:
    owner, project = await world.launched()
    path = f"/v1/projects/{project['id']}"
    fixed: list[dict[str, Any]] = [
        {"price_micro": 1},
        {"label_schema": BOX_SCHEMA},
        {"quality": {"min_overlap": 3}},
        {"slicing": {"tile": 300}},
        {"name": "Renamed", "price_micro": 1},
    ]
    async with nothing_changes(sessions):
        for changes in fixed:
            assert refused(await owner.call("PATCH", path, changes), 409, "not-editable")
        for ever in ("currency", "kind"):
            changes = {ever: project[ever]}
            assert refused(await owner.call("PATCH", path, changes), 409, "not-editable")
        for unknown in ("state", "reserved_micro", "fee_micro"):
            assert refused(await owner.call("PATCH", path, {unknown: project[unknown]}))
    renamed = await owner.patch(path, {"name": "Renamed"})
    assert renamed["name"] == "Renamed"
