"""People are trained with hints before they work, and told at once what is right."""

import json
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from tests.quality.court import CAT, DOG, always, court, given
from tests.quality.facts import broken
from tests.quality.ground import HINT, ground, later, one, task_of
from tests.world import BOX_SCHEMA, World


async def test_who_has_not_passed_gets_no_tasks_and_who_has_gets_some(world: World) -> None:
    here = await ground(world)
    earner, other = await here.court.earners(2)
    refused = await here.wants(earner, status=409)
    assert refused["code"] == "training-needed"
    told = await here.court.operator.get(f"{here.court.path}/quality")
    assert told["settled"] == 0, "what trains people is no label"
    unnamed = await earner.post("/v1/work/leases", {})
    assert (unnamed["leases"], unnamed["reason"]) == ([], "no-work")
    assert (await here.attempt(earner, always(CAT)))["state"] == "passed"
    assert (await here.wants(earner))["leases"]
    assert (await earner.post("/v1/work/leases", {"count": 1}))["leases"], "of any project, too"
    assert (await here.wants(other, status=409))["code"] == "training-needed"


async def test_each_answer_is_told_at_once_with_the_hint_and_what_is_right(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    begun = await here.begin(earner)
    assert begun["training"]["state"] == "running"
    assert [each["feedback"] for each in begun["questions"]] == [None] * 5
    assert {here.court.seen(each) for each in begun["questions"]} == set(here.trains)
    first, second, third, *_ = begun["questions"]
    told = await here.say(earner, first, CAT)
    right = {"right": True, "closeness": 1.0, "hint": HINT, "known_answer": CAT}
    assert told["feedback"] == right
    told = await here.say(earner, second, DOG)
    wrong = {**right, "right": False, "closeness": 0.0}
    assert told["feedback"] == wrong
    assert (told["training"]["answered"], told["training"]["right"]) == (2, 1)
    told = await here.say(earner, third, {"outcome": "not_sure"})
    assert told["feedback"] == wrong
    again = await here.begin(earner)
    assert [each["feedback"] for each in again["questions"]] == [right, wrong, wrong, None, None]
    assert [each["lease_id"] for each in again["questions"]] == [
        each["lease_id"] for each in begun["questions"]
    ], "the same attempt goes on, however often it is begun"


async def test_drawings_are_told_how_close_they_are(world: World) -> None:
    boxes = {"kind": "box", "label_schema": BOX_SCHEMA}
    here = await ground(world, trains=0, gold=0, work=24, launched=False, **boxes)
    known = {"class": 1, "box": [20, 20, 120, 120]}
    names = [f"work {number}.jpg" for number in range(3)]
    images = [{"file_name": name, "objects": [known]} for name in names]
    await here.court.operator.post(f"{here.court.path}/gold", {"images": images})
    for name in names:
        task_id = await task_of(here.court, name)
        await here.court.operator.put(f"/v1/tasks/{task_id}/training", {"hint": HINT})
    await here.court.launch()
    (earner,) = await here.court.earners(1)
    exact, more, far = (await here.begin(earner))["questions"]
    corner = [200, 200, 250, 250]
    feedback = [
        (await here.say(earner, question, {"objects": [{"class": 1, "box": box} for box in drawn]}))
        for question, drawn in (
            (exact, [known["box"]]),
            (more, [known["box"], corner]),
            (far, [corner]),
        )
    ]
    told = [each["feedback"] for each in feedback]
    assert [each["right"] for each in told] == [True, True, False]
    assert told[0]["closeness"] == 1 > told[1]["closeness"] > 0.5
    (right,) = told[2]["known_answer"]["objects"]
    assert (right["class"], right["box"]) == (known["class"], known["box"])


async def test_an_answer_that_is_sent_again_counts_once(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    question, *others = (await here.begin(earner))["questions"]
    first = await here.say(earner, question)
    again = await here.say(earner, question)
    assert first["replayed"] is False
    assert again == {**first, "replayed": True}
    other = await here.say(earner, question, DOG, status=409)
    assert other["code"] == "already-answered"
    for each in others:
        await here.say(earner, each)
    assert (await here.say(earner, question))["training"]["state"] == "passed"


async def test_failing_means_a_wait_that_grows_and_ends(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    waits = []
    for _ in range(10):
        failed = await here.attempt(earner, always(DOG))
        assert (failed["state"], failed["right"]) == ("waiting", 0)
        assert (await here.begin(earner, status=409))["code"] == "training-waits"
        assert (await here.wants(earner, status=409))["code"] == "training-needed"
        waits.append(round(failed["retry_after_seconds"] / 60))
        await later(world, waits[-1] + 1)
        assert (await here.look(earner))["state"] == "open"
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
    assert (await here.attempt(earner, always(CAT)))["state"] == "passed"
    assert await broken(world.sessions) == []


@pytest.mark.parametrize(("wrong", "state"), [(1, "passed"), (2, "waiting")])
async def test_enough_of_the_answers_have_to_be_right(world: World, wrong: int, state: str) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)
    missed = set(here.trains[:wrong])
    training = await here.attempt(earner, lambda name: DOG if name in missed else CAT)
    assert (training["state"], training["right_needed"]) == (state, 4)


async def test_what_is_not_answered_in_time_is_not_right(world: World) -> None:
    here = await ground(world, quality={"training_places": 1})
    slow, other = await here.court.earners(2)
    question, *_ = (await here.begin(slow))["questions"]
    await later(world, 61)
    told = await here.say(slow, question, status=409)
    assert (told["code"], told["state"]) == ("training-over", "waiting")
    assert (await here.attempt(other, always(CAT)))["state"] == "passed", "the place is free again"
    assert (await here.look(slow))["state"] == "waiting"
    await later(world, 10)
    assert (await here.look(slow))["reason"] == "no-places-left"


async def test_an_attempt_draws_some_of_the_tasks(world: World) -> None:
    here = await ground(world, trains=8, quality={"training_tasks": 3})
    seen: Counter[str] = Counter()
    (earner,) = await here.court.earners(1)
    for _ in range(8):
        begun = await here.begin(earner)
        names = [here.court.seen(each) for each in begun["questions"]]
        assert len(set(names)) == 3
        seen.update(names)
        for question in begun["questions"]:
            await here.say(earner, question, DOG)
        await later(world, 24 * 60 + 1)
    assert len(seen) > 3
    assert set(seen) <= set(here.trains)


async def test_what_trains_people_is_no_gold_and_no_work(world: World) -> None:
    here = await ground(
        world, trains=5, gold=4, work=8, quality={"min_overlap": 2, "max_overlap": 2}
    )
    tasks = await here.court.tasks()
    for name in here.trains:
        task = tasks[name]
        assert (task["is_gold"], task["state"], task["settled_by"]) == (False, "settled", "gold")
        assert task["label"] == CAT
    one_, two = await here.passed(2)
    trust = "SELECT count(*) FROM trust"
    assert await one(world, trust) == 0, "training says nothing about trust"
    seen = await here.court.work(one_, always(CAT)) + await here.court.work(two, always(CAT))
    await here.court.judge()
    assert set(seen) & set(here.trains) == set()
    assert len(seen) >= 16
    never = "SELECT count(*) FROM leases JOIN training_tasks USING (project_id, task_id)"
    assert await one(world, never) == 0
    assert await one(world, "SELECT max(seen) FROM trust") <= 4
    assert await broken(world.sessions) == []


async def test_the_known_answers_are_in_datasets_as_those_of_gold_are(world: World) -> None:
    here = await ground(world, trains=2, gold=2, work=2)
    await here.passed()
    files = await here.court.dataset(formats=["json-lines"])
    said = {line["name"]: line for line in map(json.loads, files["labels.jsonl"].splitlines())}
    sources = {name: line["tiles"][0]["source"] for name, line in said.items()}
    assert sources == dict.fromkeys([*here.trains, "gold 0.jpg", "gold 1.jpg"], "gold")
    assert all(line["tiles"][0]["classes"] == [1] for line in said.values())


async def test_what_a_later_stage_finds_wrong_in_it_goes_to_a_reviewer_there(world: World) -> None:
    quality = {"min_overlap": 1, "max_overlap": 1, "redo": 0, "target_confidence": 0.6}
    boxes: dict[str, Any] = {"kind": "box", "label_schema": BOX_SCHEMA, "quality": quality}
    draw = await court(world, "known.jpg", "work.jpg", **boxes)
    objects = [{"class": 1, "box": [20, 20, 120, 120]}]
    known = {"images": [{"file_name": "known.jpg", "objects": objects}]}
    await draw.operator.post(f"{draw.path}/gold", known)
    trains = await task_of(draw, "known.jpg")
    await draw.operator.put(f"/v1/tasks/{trains}/training", {"hint": HINT})
    asked = {**boxes, "kind": "verify", "label_schema": {**BOX_SCHEMA, "of": "box"}}
    verify = await court(world, beside=draw, follows={"project_id": draw.project["id"]}, **asked)
    await draw.launch()
    await verify.launch()
    (earner,) = await draw.earners(1)
    (lease,) = await verify.lease(earner)
    assert lease["subject"]["label"]["objects"][0]["box"] == objects[0]["box"]
    said = {"verdict": "no", "reason": "missing"}
    await earner.post("/v1/work/answers", {"answers": [given(lease, said)]})
    await draw.judge()
    (judged,) = (await draw.operator.get(f"{verify.path}/review"))["items"]
    assert judged["review_reason"] == "found-wrong"
    task = await draw.operator.get(f"/v1/tasks/{trains}")
    assert (task["state"], task["settled_by"]) == ("settled", "gold"), "it is not asked anew"


async def test_operators_see_how_many_were_trained(world: World) -> None:
    here = await ground(world, launched=False)
    listing = f"{here.court.path}/training?limit=1"
    before = await here.court.operator.get(listing)
    assert (before["places"], sum(before["trainees"].values())) == (None, 0)
    await here.court.launch()
    await here.passed()
    (bad,) = await here.court.earners(1)
    await here.attempt(bad, always(DOG))
    after = await here.court.operator.get(listing)
    assert after["places"] == 50
    assert after["trainees"] == {"running": 0, "passed": 1, "failed": 1}


async def test_offers_say_what_training_takes_and_how_far_one_is(world: World) -> None:
    here = await ground(world)
    (earner,) = await here.court.earners(1)

    async def offered() -> Any:
        (listed,) = (await earner.get("/v1/work/offers"))["items"]
        assert listed == await earner.get(f"/v1/work/offers/{here.project_id}")
        return listed["training"]

    price = here.court.project["price_micro"]
    terms = {"questions": 5, "right_needed": 4, "pays_micro": 5 * price}
    assert await offered() == {"state": "needed", "again_at": None, **terms}
    await here.begin(earner)
    assert (await offered())["state"] == "running"
    await here.attempt(earner, always(DOG))
    waiting = await offered()
    assert waiting["state"] == "waiting"
    assert waiting["again_at"] is not None
    await later(world, 11)
    await here.attempt(earner, always(CAT))
    assert await offered() == {"state": "passed", "again_at": None, **terms}


async def test_a_project_without_training_tasks_works_as_ever(world: World) -> None:
    here = await ground(world, trains=0)
    (earner,) = await here.court.earners(1)
    assert (await earner.get(f"/v1/work/offers/{here.project_id}"))["training"] is None
    assert (await here.look(earner))["state"] == "not-needed"
    assert (await here.begin(earner, status=409))["code"] == "training-not-needed"
    assert (await here.wants(earner))["leases"]


async def test_marked_by_mistake_a_task_becomes_gold_again(world: World) -> None:
    here = await ground(world, launched=False)
    marked = f"/v1/tasks/{here.task_ids[0]}/training"
    operator, listing = here.court.operator, f"{here.court.path}/training"
    assert len((await operator.get(listing))["items"]) == 5
    renamed = await operator.put(marked, {"hint": " Look at the eyes. "})
    assert renamed["hint"] == "Look at the eyes."
    await operator.delete(marked)
    assert (await operator.delete(marked, status=404))["code"] == "not-found"
    page = await operator.get(f"{listing}?limit=3")
    rest = await operator.get(f"{listing}?limit=3&cursor={page['next']}")
    left = [each["task_id"] for each in page["items"] + rest["items"]]
    assert (sorted(left), rest["next"]) == (sorted(here.task_ids[1:]), None)
    estimate = await operator.get(f"{here.court.path}/estimate")
    assert (estimate["tasks"], estimate["gold_tasks"]) == (40, 5)
    task = (await here.court.tasks())[here.trains[0]]
    assert (task["is_gold"], task["state"], task["settled_at"]) == (True, "waiting", None)


async def test_what_trains_people_is_known_and_is_fixed_by_the_launch(world: World) -> None:
    here = await ground(world, launched=False)
    operator = here.court.operator
    unknown = await task_of(here.court, "work 0.jpg")
    hint = {"hint": HINT}
    told = await operator.put(f"/v1/tasks/{unknown}/training", hint, status=409)
    assert told["code"] == "answer-not-known"
    again = await here.court.gold([here.trains[0]], "dog")
    assert again[0]["gold_tasks"] == 0, "a file does not change it: take the mark off first"
    (stranger, _) = await world.operator()
    for path in (f"/v1/tasks/{here.task_ids[0]}/training", f"/v1/tasks/{uuid4()}/training"):
        await stranger.put(path, hint, status=404)
        await stranger.delete(path, status=404)
    await stranger.get(f"{here.court.path}/training", status=404)
    await here.court.launch()
    for task_id in (here.task_ids[0], await task_of(here.court, "gold 0.jpg")):
        told = await operator.put(f"/v1/tasks/{task_id}/training", hint, status=409)
        assert (told["code"], told["state"]) == ("wrong-state", "open")
        await operator.delete(f"/v1/tasks/{task_id}/training", status=409)
    told = await operator.patch(here.court.path, {"quality": {"training_tasks": 9}}, status=409)
    assert told["code"] == "not-editable"
    told = await operator.post(f"/v1/tasks/{here.task_ids[0]}/gold", status=409)
    assert told["code"] == "no-places-left"


@pytest.mark.parametrize(
    "policy",
    [
        {"training_tasks": 0},
        {"training_tasks": 51},
        {"training_pass": 0},
        {"training_pass": 1.01},
        {"training_places": 0},
        {"training_places": 10_001},
        {"training_places": True},
    ],
)
async def test_policies_that_make_no_sense_are_refused(
    world: World, policy: dict[str, Any]
) -> None:
    here = await court(world)
    refused = await here.operator.patch(here.path, {"quality": policy}, status=422)
    assert refused["code"] == "invalid-request"


@pytest.mark.parametrize("hint", ["", "  ", "x" * 1001, "\u0000", None, 7])
async def test_a_hint_is_a_text_of_some_length(world: World, hint: Any) -> None:
    here = await ground(world, trains=1, work=1, launched=False)
    path = f"/v1/tasks/{here.task_ids[0]}/training"
    await here.court.operator.put(path, {"hint": hint}, status=422)
    assert (await here.court.operator.get(f"{here.court.path}/training"))["items"][0][
        "hint"
    ] == HINT


async def test_a_hint_is_text_whatever_is_in_it(world: World) -> None:
    evil = "<script>alert(1)</script> \u202e %s {0}"
    here = await ground(world, trains=1, work=1, launched=False)
    path = f"/v1/tasks/{here.task_ids[0]}/training"
    await here.court.operator.put(path, {"hint": evil})
    await here.court.launch()
    (earner,) = await here.court.earners(1)
    (question,) = (await here.begin(earner))["questions"]
    response = await earner.call("POST", f"{here.path}/answers", given(question, CAT))
    assert response.headers["content-type"] == "application/json"
    assert response.json()["feedback"]["hint"] == evil


async def test_bad_answers_are_refused_and_cost_nothing(world: World) -> None:
    here = await ground(world)
    earner, other = await here.court.earners(2)
    answers = f"{here.path}/answers"
    await earner.post(answers, given({"lease_id": str(uuid4()), "fence": 1}, CAT), status=404)
    first, *_ = (await here.begin(earner))["questions"]
    (lease, *_) = (await here.begin(other))["questions"]
    for strange in (lease, {**first, "lease_id": str(uuid4())}):
        told = await here.say(earner, strange, status=404)
        assert told["code"] == "lease-not-found"
    assert (await here.say(other, first, status=404))["code"] == "lease-not-found"
    told = await here.say(earner, {**first, "fence": 2}, status=409)
    assert told["code"] == "lease-superseded"
    odd: list[Any] = [{"classes": [99]}, {"classes": []}, {"objects": []}]
    for bad in odd:
        await here.say(earner, first, bad, status=422)
    await earner.post(answers, {**given(first, CAT), "answer": None}, status=422)
    await earner.post(answers, {**given(first, CAT), "more": 1}, status=422)
    elsewhere = await court(world, "a.jpg")
    await elsewhere.launch()
    path = f"/v1/work/training/{elsewhere.project['id']}/answers"
    await earner.post(path, given(first, CAT), status=404)
    await earner.post("/v1/work/answers", {"answers": [given(first, CAT)]}, status=404)
    assert (await here.look(earner))["answered"] == 0
    assert (await here.say(earner, first))["feedback"]["right"] is True


async def test_projects_that_are_not_open_are_not_there(world: World) -> None:
    here = await ground(world, launched=False)
    (earner,) = await here.court.earners(1)
    for path in (here.path, f"/v1/work/training/{uuid4()}"):
        await earner.get(path, status=404)
        await earner.post(f"{path}/attempts", status=404)
