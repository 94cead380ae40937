"""Whoever is judged may say no to it, and what was wrong is undone."""

import asyncio

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tests.conduct.judged import escrow, later, mixed, receipts, states, stopped
from tests.quality.court import CAT, Court
from tests.quality.facts import nothing_contradicts
from tests.world import World


async def test_a_contest_that_is_upheld_gives_back_access_trust_and_pay(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    assert await states(here, bad) == {"rejected"}
    (stop,) = await receipts(bad, "stopped")
    contested = await bad.post(f"/v1/decisions/{stop['id']}/contest", {"text": "  I looked. "})
    assert contested["contest_state"] == "open"
    assert contested["contest"] == "I looked."
    (waiting,) = (await here.operator.get(f"{here.path}/contests"))["items"]
    assert waiting["id"] == stop["id"]
    answer = {"upheld": True, "answer": "The instructions were wrong."}
    resolved = await here.operator.post(f"/v1/contests/{stop['id']}", answer)
    assert resolved["contest_state"] == "upheld"
    assert (await here.operator.get(f"{here.path}/contests"))["items"] == []
    assert await states(here, bad) == {"approved"}
    await world.work.sweep("post-earnings")
    balance = await bad.get("/v1/earnings/balance")
    paid = len(await here.earnings(bad)) * here.project["price_micro"]
    assert balance["available_micro"] == {"USD": paid}
    await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=200)
    (restored,) = await receipts(bad, "restored")
    assert restored["because_id"] == stop["id"]
    assert restored["rule"] == "contest-upheld"
    read = await bad.get(f"/v1/decisions/{stop['id']}")
    assert (read["contest_state"], read["answer"]) == ("upheld", "The instructions were wrong.")
    await nothing_contradicts(world.sessions)


async def test_a_contest_that_is_denied_leaves_all_as_it_was(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    rejected = (await receipts(bad, "rejected"))[0]
    await bad.post(f"/v1/decisions/{rejected['id']}/contest", {"text": "It is a dog."})
    answer = {"upheld": False, "answer": "It has whiskers."}
    denied = await here.operator.post(f"/v1/contests/{rejected['id']}", answer)
    assert denied["contest_state"] == "denied"
    assert (await bad.get(f"/v1/decisions/{rejected['id']}"))["answer"] == "It has whiskers."
    assert await states(here, bad) == {"rejected"}
    assert await receipts(bad, "restored") == []


async def test_one_answer_that_was_right_after_all_is_paid_and_the_others_are_not(
    world: World,
) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    rejected = (await receipts(bad, "rejected"))[0]
    await bad.post(f"/v1/decisions/{rejected['id']}/contest", {"text": "It is a dog."})
    await here.operator.post(
        f"/v1/contests/{rejected['id']}", {"upheld": True, "answer": "So it is."}
    )
    by_lease = {each["lease_id"]: each for each in await here.earnings(bad)}
    assert by_lease.pop(rejected["lease_id"])["state"] == "approved"
    assert {each["state"] for each in by_lease.values()} == {"rejected"}
    await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    await nothing_contradicts(world.sessions)


async def test_who_gets_no_answer_in_time_is_right_even_after_the_project_is_over(
    world: World,
) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    (stop,) = await receipts(bad, "stopped")
    await bad.post(f"/v1/decisions/{stop['id']}/contest", {"text": "I looked."})
    await here.operator.post(f"{here.path}/complete")
    await here.judge()
    await world.work.sweep("post-earnings")
    await world.work.sweep("release-completed")
    await here.judge()
    await later(here, days=13)
    await world.work.sweep("uphold-contests")
    assert await states(here, bad) == {"rejected"}, "there is still time"
    await later(here, days=200)
    await world.work.sweep("release-completed")
    await here.judge()
    await world.work.sweep("uphold-contests")
    await world.work.sweep("post-earnings")
    assert await states(here, bad) == {"available"}, "the money was still there"
    (restored,) = await receipts(bad, "restored")
    assert "nobody answered in time" in restored["reason"]
    await nothing_contradicts(world.sessions)


async def test_the_money_of_what_may_yet_be_contested_stays_and_then_goes_back(
    world: World,
) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    await here.operator.post(f"{here.path}/complete")
    await here.judge()
    await world.work.sweep("post-earnings")
    await world.work.sweep("release-completed")
    await here.judge()
    rejected = len(await here.earnings(bad))
    each = here.project["price_micro"] + here.project["fee_micro"]
    assert await escrow(here) == rejected * each
    one = (await receipts(bad, "rejected"))[0]
    await bad.post(f"/v1/decisions/{one['id']}/contest", {"text": "It is a dog."})
    await later(here, days=16)
    await world.work.sweep("release-completed")
    await here.judge()
    assert await escrow(here) == each, "of the contested one"
    answer = {"upheld": False, "answer": "It has whiskers."}
    await here.operator.post(f"/v1/contests/{one['id']}", answer)
    await world.work.sweep("release-completed")
    await here.judge()
    assert await escrow(here) == 0


async def test_a_decision_is_contested_once_and_in_time_and_by_whom_it_is_about(
    world: World,
) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    other = await world.earner()
    (stop,) = await receipts(bad, "stopped")
    path = f"/v1/decisions/{stop['id']}/contest"
    said = {"text": "I looked."}
    assert (await other.post(path, said, status=404))["code"] == "not-found"
    assert (await other.get(f"/v1/decisions/{stop['id']}", status=404))["code"] == "not-found"
    for nothing in ("", "  ", "x" * 2_001):
        await bad.post(path, {"text": nothing}, status=422)
    await bad.post(path, said)
    again = await bad.post(path, said, status=409)
    assert (again["code"], again["state"]) == ("not-contestable", "open")
    answer = f"/v1/contests/{stop['id']}"
    for bad_answer in (
        {"upheld": True},
        {"upheld": 2, "answer": "x"},
        {"upheld": True, "answer": ""},
    ):
        await here.operator.post(answer, bad_answer, status=422)
    await here.operator.post(answer, {"upheld": True, "answer": "Yes."})
    twice = await here.operator.post(answer, {"upheld": False, "answer": "No."}, status=409)
    assert (twice["code"], twice["state"]) == ("not-contested", "upheld")
    (restored,) = await receipts(bad, "restored")
    harmless = await bad.post(f"/v1/decisions/{restored['id']}/contest", said, status=409)
    assert harmless["code"] == "not-contestable"
    lowered = (await receipts(bad, "lowered"))[0]
    await here.operator.post(
        f"/v1/contests/{lowered['id']}", {"upheld": True, "answer": "-"}, status=409
    )
    await later(here, days=16)
    late = await bad.post(f"/v1/decisions/{lowered['id']}/contest", said, status=409)
    assert late["code"] == "not-contestable"
    assert late["until"]


@pytest.mark.parametrize("upheld", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_of_many_answers_to_a_contest_one_counts(world: World, *, upheld: bool) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    (stop,) = await receipts(bad, "stopped")
    contests = [
        bad.call("POST", f"/v1/decisions/{stop['id']}/contest", {"text": str(number)})
        for number in range(4)
    ]
    assert sorted(each.status_code for each in await asyncio.gather(*contests)) == [
        200,
        409,
        409,
        409,
    ]
    await later(here, days=15)
    answers = [
        here.operator.call(
            "POST", f"/v1/contests/{stop['id']}", {"upheld": upheld, "answer": str(number)}
        )
        for number in range(4)
    ]
    sweeps = [asyncio.create_task(world.work.sweep("uphold-contests")) for _ in range(3)]
    done = await asyncio.gather(*answers)
    await asyncio.gather(*sweeps)
    codes = sorted(each.status_code for each in done)
    assert codes in ([200, 409, 409, 409], [409] * 4), "or the sweep came first"
    overturned = upheld or codes[0] == 409
    assert await states(here, bad) == {"approved" if overturned else "rejected"}
    assert len(await receipts(bad, "restored")) == int(overturned)
    await nothing_contradicts(world.sessions)


async def test_an_operator_who_is_often_overturned_is_shown_as_such(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    new = await world.earner()
    offer = f"/v1/work/offers/{here.project['id']}"
    assert (await new.get(offer))["contests"] == {
        "contested": 0,
        "upheld": 0,
        "unanswered": 0,
        "is_often_overturned": False,
    }
    rejected = await receipts(bad, "rejected")
    for number, each in enumerate(rejected[:6]):
        await bad.post(f"/v1/decisions/{each['id']}/contest", {"text": "It is a dog."})
        if number < 4:
            answer = {"upheld": number < 2, "answer": "Well."}
            await here.operator.post(f"/v1/contests/{each['id']}", answer)
    await later(here, days=15)
    await world.work.sweep("uphold-contests")
    for shown in (await new.get(offer), (await new.get("/v1/work/offers"))["items"][0]):
        assert shown["contests"] == {
            "contested": 6,
            "upheld": 4,
            "unanswered": 2,
            "is_often_overturned": True,
        }


async def test_whom_a_person_has_stopped_is_not_let_back_by_another_contest(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    (lowered,) = await receipts(bad, "lowered")
    me = (await bad.get("/v1/me"))["person_id"]
    said = {"outcome": "stop", "reason": "Two accounts."}
    await here.operator.post(f"{here.path}/earners/{me}/decision", said)
    await bad.post(f"/v1/decisions/{lowered['id']}/contest", {"text": "I looked."})
    answer = {"upheld": True, "answer": "So you did."}
    await here.operator.post(f"/v1/contests/{lowered['id']}", answer)
    refused = await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    assert (refused["code"], refused["detail"]) == ("stopped-by-a-person", "Two accounts.")
    by_a_person, *_ = await receipts(bad, "stopped")
    await bad.post(f"/v1/decisions/{by_a_person['id']}/contest", {"text": "I have one."})
    await here.operator.post(f"/v1/contests/{by_a_person['id']}", answer)
    await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=200)
    await nothing_contradicts(world.sessions)


@pytest.mark.long
async def test_a_stop_and_what_followed_from_it_may_be_overdue_together(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    (stop,) = await receipts(bad, "stopped")
    for each in (stop, *(await receipts(bad, "rejected"))[:2]):
        await bad.post(f"/v1/decisions/{each['id']}/contest", {"text": "I looked."})
    await later(here, days=15)
    await world.work.sweep("uphold-contests")
    assert await states(here, bad) == {"approved"}
    assert (await here.operator.get(f"{here.path}/contests"))["items"] == []
    await nothing_contradicts(world.sessions)


@pytest.mark.long
async def test_what_was_denied_by_itself_is_paid_if_the_stop_is_overturned_later(
    world: World,
) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    (stop,) = await receipts(bad, "stopped")
    one = (await receipts(bad, "rejected"))[0]
    await bad.post(f"/v1/decisions/{one['id']}/contest", {"text": "It is a dog."})
    await here.operator.post(f"/v1/contests/{one['id']}", {"upheld": False, "answer": "No."})
    await completed(here)
    await bad.post(f"/v1/decisions/{stop['id']}/contest", {"text": "I looked."})
    await completed(here)
    await here.operator.post(f"/v1/contests/{stop['id']}", {"upheld": True, "answer": "Yes."})
    await completed(here)
    assert await states(here, bad) == {"available"}
    assert await escrow(here) == 0
    await nothing_contradicts(world.sessions)


async def test_money_that_has_gone_back_is_not_paid_a_second_time(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    await completed(here)
    await later(here, days=16)
    async with db.transaction(world.sessions) as session:  # the stop itself was only told now
        await session.execute(
            text("UPDATE decisions SET created_at = now() WHERE effect = 'stopped'")
        )
    await completed(here)
    assert await escrow(here) == 0
    (stop,) = await receipts(bad, "stopped")
    await bad.post(f"/v1/decisions/{stop['id']}/contest", {"text": "I looked."})
    await here.operator.post(f"/v1/contests/{stop['id']}", {"upheld": True, "answer": "Yes."})
    await completed(here)
    assert await states(here, bad) == {"rejected"}
    await nothing_contradicts(world.sessions)


@pytest.mark.long
async def test_lowered_trust_that_was_wrong_also_pays_what_followed_from_it(world: World) -> None:
    here = await mixed(world)
    bad = await stopped(here)
    await here.say(CAT, CAT)
    (lowered,) = await receipts(bad, "lowered")
    await bad.post(f"/v1/decisions/{lowered['id']}/contest", {"text": "I looked."})
    await here.operator.post(f"/v1/contests/{lowered['id']}", {"upheld": True, "answer": "Yes."})
    assert await states(here, bad) == {"approved"}
    await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=200)
    await nothing_contradicts(world.sessions)


async def completed(here: Court) -> None:
    """Complete the project, if it is not, and give back what can be."""
    if (await here.operator.get(here.path))["state"] != "completed":
        await here.operator.post(f"{here.path}/complete")
    await here.judge()
    await here.world.work.sweep("post-earnings")
    await here.world.work.sweep("release-completed")
    await here.judge()
