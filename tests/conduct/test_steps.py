"""What unusual answers lead to, how it ends, and what a person decides: accounts that are linked.

Ten accounts that are paid to one account are for a person to look at, however they answer; so ten
people who answer a task each are enough to see it all.
"""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from tessera.accounts.models import Role
from tessera.conduct import jobs as conduct
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.quality import judge
from tests.client import As
from tests.conduct.log import id_of, watch
from tests.quality.court import ANIMALS, CAT, Court, always, court
from tests.quality.facts import nothing_contradicts
from tests.waiting import until_locks_are_waited_for
from tests.world import PASSWORD, World

Receipt = dict[str, Any]
WORDS = "You are ten people, and we know three of you."
STOP = {"outcome": "stop", "reason": WORDS}
GO_ON = {"outcome": "go_on", "reason": "You are a school."}


async def begun(world: World, count: int, **changes: Any) -> tuple[Court, list[As]]:
    """A project, and people who have answered one of its tasks each."""
    policy = {"min_overlap": 2, "max_overlap": 2, "redo": 0, **changes.pop("quality", {})}
    names = [f"{number}.jpg" for number in range(24)]
    here = await court(world, *names, quality=policy, **changes)
    await here.launch()
    people = await here.earners(count)
    for person in people:
        await here.answer(person, await here.lease(person, 1), always(CAT))
    await here.judge()
    return here, people


async def paid_to(account: str, *people: As) -> None:
    for number, each in enumerate(people):
        details = {"holder": f"Name {number}", "account": account}
        await each.put("/v1/payout-destination", {"rail": "manual", "details": details})


async def farm(world: World, **changes: Any) -> tuple[Court, list[As]]:
    """Ten with one account, and they were told of."""
    here, people = await begun(world, 10, **changes)
    await paid_to("Bank of Farms 12345", *people)
    await watch(here)
    return here, people


async def receipts(earner: As) -> list[Receipt]:
    """Newest first."""
    found: list[Receipt] = (await earner.get("/v1/decisions"))["items"]
    return found


async def effects(earner: As) -> list[str]:
    return [each["effect"] for each in await receipts(earner)]


async def lease(here: Court, earner: As, count: int = 5, *, status: int = 200) -> Any:
    wanted = {"project_id": here.project["id"], "count": count}
    return await earner.post("/v1/work/leases", wanted, status=status)


async def decide(
    here: Court, earner: As, body: Any, *, by: As | None = None, status: int = 200
) -> Any:
    path = f"{here.path}/earners/{await id_of(earner)}/decision"
    return await (by or here.operator).post(path, body, status=status)


async def cases(here: Court) -> set[str]:
    return {each["earner_id"] for each in (await here.operator.get(f"{here.path}/cases"))["items"]}


async def member(here: Court, earner: As) -> Any:
    listed = (await here.operator.get(f"{here.path}/earners"))["items"]
    return {each["earner_id"]: each for each in listed}[str(await id_of(earner))]


async def change(here: Court, sql: str, **values: Any) -> None:
    async with db.transaction(here.world.sessions) as session:
        await session.execute(text(sql), values)


async def test_two_with_one_account_are_checked_more_and_slowed_by_nothing(world: World) -> None:
    here, (one, two, other) = await begun(world, 3)
    await paid_to("bank of two: 123-45", one)
    await paid_to("Bank Of Two 12345", two)
    await paid_to("Bank of Others 12345", other)
    await watch(here)
    for each in (one, two):
        (receipt,) = await receipts(each)
        assert (receipt["effect"], receipt["numbers"]) == ("checked", {"linked": 2.5})
        assert receipt["reason"] == (
            "This account is paid to the same destination as one other account in this project. "
            "For a while, more of your answers are compared with known ones."
        )
        assert receipt["contestable_until"] is None
        assert len((await lease(here, each))["leases"]) == 5
        assert (await member(here, each))["step"] == 1
    assert await receipts(other) == []
    assert await cases(here) == set()
    await watch(here)
    await watch(here)
    assert await effects(one) == ["checked"]


async def test_one_iban_is_one_account_by_whatever_name_it_is_given(world: World) -> None:
    here, (one, two) = await begun(world, 2)
    iban = {"holder": "Ada", "iban": "DE89370400440532013000"}
    await one.put("/v1/payout-destination", {"rail": "manual", "details": iban})
    await paid_to("de89 3704 0044 0532 0130 00", two)
    await watch(here)
    assert [await effects(each) for each in (one, two)] == [["checked"], ["checked"]]


async def test_it_ends_when_nothing_is_shared_any_more(world: World) -> None:
    here, (one, two) = await begun(world, 2)
    await paid_to("Bank of Two 12345", one, two)
    await watch(here)
    chance = "SELECT gold_chance FROM standings WHERE earner_id = :who"
    async with db.reading(world.sessions) as reader:
        watched = await reader.scalar(text(chance), {"who": await id_of(one)})
    await paid_to("Bank of One 12345", two)
    await watch(here)
    await watch(here)
    for each in (one, two):
        restored, checked = await receipts(each)
        assert (checked["effect"], restored["effect"]) == ("checked", "restored")
        assert restored["rule"] == "unusual-answers"
        assert (await member(here, each))["signals"] == []
    async with db.reading(world.sessions) as reader:
        usual = await reader.scalar(text(chance), {"who": await id_of(one)})
    assert watched >= 0.3
    assert usual >= 0.3, "who has answered no gold yet meets much of it"


async def test_many_accounts_on_one_device_are_checked_and_two_are_not(world: World) -> None:
    here, people = await begun(world, 7)
    for number, each in enumerate(people):
        device = "a phone of five" if number < 5 else "a phone of two"
        body = {"email": each.email, "password": PASSWORD, "device": device}
        await each.post("/v1/sessions", body)
    await watch(here)
    assert [await effects(each) for each in people] == [["checked"]] * 5 + [[]] * 2
    (receipt,) = await receipts(people[0])
    assert "uses the same device as 4 other accounts" in receipt["reason"]


@pytest.mark.parametrize("device", ["", "1234567", "x" * 201, 12345678, ["a phone of mine"]])
async def test_a_device_has_a_name_of_some_length(world: World, device: object) -> None:
    earner = await world.earner()
    body = {"email": earner.email, "password": PASSWORD, "device": device}
    await earner.post("/v1/sessions", body, status=422)


async def test_who_is_slowed_gets_two_tasks_and_then_waits_twenty_seconds_for_each(
    world: World,
) -> None:
    here, people = await farm(world)
    one, (receipt,) = people[0], await receipts(people[0])
    assert receipt["effect"] == "slowed"
    assert receipt["reason"].endswith(
        "Somebody will look at it. Until then, you get tasks a few at a time."
    )
    named = {"project_id": here.project["id"], "count": 8}
    for wanted in (named, {"count": 8}, named):
        handed = await one.post("/v1/work/leases", wanted)
        assert len(handed["leases"]) == 2
        assert handed["reason"] is None
        for again in (named, {"count": 1}):
            waits = await one.post("/v1/work/leases", again)
            assert (waits["leases"], waits["reason"]) == ([], "slowed")
            assert 1 <= waits["retry_after_seconds"] <= 40
        await here.answer(one, handed["leases"], always(CAT))
        await change(here, "UPDATE standings SET next_lease_at = now()")
    (single,) = (await lease(here, one, 1))["leases"]
    assert (await lease(here, one, 1))["retry_after_seconds"] <= 20
    await here.answer(one, [single], always(CAT))


async def test_who_is_slowed_in_one_project_is_not_in_another(world: World) -> None:
    here, people = await farm(world)
    other = await court(world, *(f"{number}.jpg" for number in range(9)), beside=here)
    await other.launch()
    await lease(here, people[0])
    handed = await people[0].post("/v1/work/leases", {"count": 6})
    assert {each["project_id"] for each in handed["leases"]} == {other.project["id"]}
    assert len(handed["leases"]) == 6


@pytest.mark.long
async def test_what_a_person_has_seen_comes_back_only_when_there_is_more_of_it(
    world: World,
) -> None:
    here, people = await begun(world, 10)
    one = people[0]
    await paid_to("Bank of Farms 12345", *people[:2])
    await watch(here)
    told = await decide(here, one, GO_ON)
    assert told["step"] == 0
    assert told["looked_at"]
    assert await effects(one) == ["restored", "checked"]
    restored = (await receipts(one))[0]
    assert (restored["rule"], restored["reason"]) == ("by-a-person", "You are a school.")
    assert restored["by_a_person"]
    await watch(here)
    await paid_to("Bank of Farms 12345", *people[:5])
    await watch(here)
    assert await effects(one) == ["restored", "checked"], "1.5 more powers of ten are not enough"
    assert await effects(people[4]) == ["checked"]
    await paid_to("Bank of Farms 12345", *people)
    await watch(here)
    assert await effects(one) == ["slowed", "restored", "checked"], "3.5 are"
    assert str(await id_of(one)) in await cases(here)


async def test_who_is_let_go_on_gets_as_much_as_before_and_is_no_case(world: World) -> None:
    here, people = await farm(world)
    assert await cases(here) == {str(await id_of(each)) for each in people}
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    await lease(here, people[0])
    await decide(here, people[0], GO_ON, by=reviewer)
    assert len((await lease(here, people[0]))["leases"]) == 5
    assert await cases(here) == {str(await id_of(each)) for each in people[1:]}


async def paid(here: Court, earner: As) -> list[dict[str, Any]]:
    """What is in their balance."""
    return [each for each in await here.earnings(earner) if each["state"] == "available"]


async def test_who_is_stopped_reads_the_persons_words_and_keeps_what_they_earned(
    world: World,
) -> None:
    here, people = await farm(world, quality={"min_overlap": 1, "target_confidence": 0.6})
    await world.work.sweep("post-earnings")
    one = people[0]
    before = await paid(here, one)
    assert before
    stopped = await decide(here, one, STOP)
    assert stopped["stopped_by"] == str(await id_of(here.operator))
    assert stopped["blocked_reason"] == WORDS
    await here.judge()
    refused = await lease(here, one, status=403)
    assert (refused["detail"], refused["code"]) == (WORDS, "stopped-by-a-person")
    assert (await one.post("/v1/work/leases", {"count": 5}))["leases"] == []
    receipt = (await receipts(one))[0]
    assert (receipt["effect"], receipt["rule"]) == ("stopped", "by-a-person")
    assert (receipt["reason"], receipt["by_a_person"]) == (WORDS, True)
    assert receipt["contestable_until"]
    assert str(await id_of(one)) not in await cases(here)
    await watch(here)
    assert len(await receipts(one)) == 2
    assert await paid(here, one) == before
    for minimum in (0.5, 0.9, 0.6):
        await here.operator.patch(here.path, {"quality": {"minimum_trust": minimum}})
        await here.judge()
        await lease(here, one, status=403)
    await decide(here, one, GO_ON)
    assert len((await lease(here, one))["leases"]) == 5
    await watch(here)
    assert await effects(one) == ["restored", "stopped", "slowed"]
    assert await paid(here, one) == before
    await nothing_contradicts(world.sessions)


@pytest.mark.parametrize("in_time", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_who_was_right_to_contest_it_is_not_slowed_by_the_next_look(
    world: World, *, in_time: bool
) -> None:
    here, people = await farm(world)
    (receipt,) = await receipts(people[0])
    said = {"text": "We are a school, and are paid through it."}
    await people[0].post(f"/v1/decisions/{receipt['id']}/contest", said)
    if in_time:
        answer = {"upheld": True, "answer": "So you are."}
        await here.operator.post(f"/v1/contests/{receipt['id']}", answer)
    else:
        await change(here, "UPDATE decisions SET due_at = now() WHERE due_at > now()")
        await world.work.sweep("uphold-contests")
    for _ in range(2):
        assert await effects(people[0]) == ["restored", "slowed"]
        assert len((await lease(here, people[0], 3))["leases"]) == 3
        assert str(await id_of(people[0])) not in await cases(here)
        await watch(here)
    await paid_to("Bank of a School 1", people[0])
    await watch(here)
    assert await effects(people[0]) == ["restored", "slowed"]


async def test_only_a_person_of_the_organisation_decides_and_says_why(world: World) -> None:
    here, people = await begun(world, 2)
    one, never = people[0], await world.earner()
    organisation = f"/v1/organisations/{here.project['organisation_id']}"
    key = {"name": "program", "scopes": ["projects:read", "review"]}
    made = await here.operator.post(f"{organisation}/api-keys", key)
    program = As(world.http, made["key"])
    money = await world.member(here.operator, here.project["organisation_id"], Role.FINANCE)
    stranger, _ = await world.operator()
    assert (await decide(here, one, STOP, by=program, status=403))["code"] == "forbidden"
    await decide(here, one, STOP, by=money, status=403)
    for nobody in (stranger, one, people[1]):
        await decide(here, one, STOP, by=nobody, status=404)
    await decide(here, never, STOP, status=404)
    for who in (uuid4(), "nobody"):
        path = f"{here.path}/earners/{who}/decision"
        await here.operator.post(path, STOP, status=404 if isinstance(who, UUID) else 422)
    for wrong in (
        {"outcome": "ban", "reason": WORDS},
        {"outcome": "stop"},
        {"reason": WORDS},
        {"outcome": "stop", "reason": "  "},
        {"outcome": "stop", "reason": "x" * 2_001},
        {"outcome": "stop", "reason": WORDS, "for_days": 3},
    ):
        await decide(here, one, wrong, status=422)
    for path in ("earners", "cases"):
        await stranger.get(f"{here.path}/{path}", status=404)
        await money.get(f"{here.path}/{path}", status=403)
        await here.operator.get(f"{here.path}/{path}?cursor=x", status=422)
    assert await receipts(one) == await receipts(never) == []
    assert (await decide(here, one, {**STOP, "reason": "x" * 2_000}))["blocked_at"]


async def test_projects_that_are_over_are_left_alone_but_not_those_that_ask_for_several_classes(
    world: World,
) -> None:
    many, several = await begun(world, 2, label_schema={**ANIMALS, "multiple": True})
    over, people = await begun(world, 2)
    await over.operator.post(f"{over.path}/complete")
    await over.judge()
    await paid_to("Bank of Farms 12345", *people)
    await paid_to("Bank of Fields 12345", *several)
    for here in (over, many):
        await watch(here)
        assert await cases(here) == set()
    assert [await receipts(each) for each in people] == [[]] * 2
    for each in several:
        assert [receipt["numbers"] for receipt in await receipts(each)] == [{"linked": 2.5}]


async def test_nobody_is_stopped_by_a_policy_that_was_edited_while_answers_were_looked_at(
    world: World,
) -> None:
    """The job has read the old one; everybody is rated by the new one before the job goes on."""
    here, people = await begun(world, 2, quality={"minimum_trust": 0.95})
    await paid_to("Bank of Two 12345", *people)
    project_id = UUID(here.project["id"])
    run = Run(1, "conduct.watch", {"project_id": str(project_id)}, 1, None)
    # four check tasks, two of them missed: less than was asked for, more than is
    await change(here, "UPDATE trust SET alpha = 3.2, beta = 2.4, seen = 4, missed = 2")
    ids = sorted([await id_of(each) for each in people])
    async with db.transaction(world.sessions) as holding:
        await judge.locked_records(holding, project_id, ids)
        looking = asyncio.create_task(conduct.watch(world.work.context, run))
        await until_locks_are_waited_for(world.sessions)
        await here.operator.patch(here.path, {"quality": {"minimum_trust": 0.5}})
        await judge.rate_again(holding, project_id=project_id, after=None, limit=50)
    await looking
    await here.judge()
    for each in people:
        assert await effects(each) == ["checked"]
        assert (await receipts(each))[0]["policy_version"] == 2
        await lease(here, each)
