"""The life of a project, as its operator leads it."""

from typing import Any

import pytest

from tests.client import As
from tests.quality.court import ANIMALS, CAT, Court, always, court
from tests.world import BOX_SCHEMA, World

EDGES: list[dict[str, Any]] = [
    {"name": "n" * 200},
    {"instructions": "i" * 10_000},
    {"price_micro": 1},
    {"price_micro": 10**15},
    {"lease_seconds": 30},
    {"lease_seconds": 86_400},
    {"slicing": {"tile": 128, "margin": 48, "format": "webp", "quality": 30}},
    {"slicing": {"tile": 4096, "margin": 1024, "format": "jpeg", "quality": 100}},
    {"quality": {"min_overlap": 1, "max_overlap": 1, "redo": 0, "gold_share": 0}},
    {"quality": {"min_overlap": 20, "max_overlap": 50, "redo": 20, "gold_share": 0.5}},
    {"quality": {"target_confidence": 0.5, "minimum_trust": 0.99}},
    {"currency": "JPY"},
]
BEYOND: list[dict[str, Any]] = [
    {"lease_seconds": 29},
    {"lease_seconds": 86_401},
    {"slicing": {"tile": 127}},
    {"slicing": {"tile": 4097}},
    {"slicing": {"margin": -1}},
    {"slicing": {"tile": 128, "margin": 49}},
    {"slicing": {"format": "gif"}},
    {"slicing": {"quality": 29}},
    {"slicing": {"quality": 101}},
    {"slicing": {"shape": "round"}},
    {"quality": {"min_overlap": 0}},
    {"quality": {"min_overlap": 21, "max_overlap": 21}},
    {"quality": {"max_overlap": 51}},
    {"quality": {"redo": 21}},
    {"quality": {"redo": -1}},
    {"quality": {"gold_share": -0.1}},
    {"quality": {"gold_share": 0.51}},
    {"quality": {"target_confidence": 0.49}},
    {"quality": {"target_confidence": 1}},
    {"quality": {"minimum_trust": 1}},
    {"quality": {"minimum_trust": 0.4}},
]


async def test_every_limit_is_inside_what_is_taken(world: World) -> None:
    operator, organisation_id = await world.operator()
    for edge in EDGES:
        made = await world.project(operator, organisation_id, **edge)
        again = await operator.get(f"/v1/projects/{made['id']}")
        for name, value in edge.items():
            same = value.items() <= again[name].items() if isinstance(value, dict) else None
            assert same or again[name] == value


async def test_beyond_the_limits_nothing_is_taken(world: World) -> None:
    operator, organisation_id = await world.operator()
    for changes in BEYOND:
        with pytest.raises(AssertionError, match=r"422 .*invalid-request"):
            await world.project(operator, organisation_id, **changes)
    assert await projects(operator, organisation_id) == []


async def test_a_draft_can_be_edited(world: World) -> None:
    operator, organisation_id = await world.operator()
    made = await world.project(operator, organisation_id)
    classes = [*BOX_SCHEMA["classes"], {"id": 3, "name": "plate", "colour": "#000000"}]
    changes = {
        "name": "Coins, cups and plates",
        "instructions": "Draw *tight*.",
        "price_micro": 33_333,
        "quality": {"min_overlap": 3},
        "slicing": {"tile": 256},
        "label_schema": {"classes": classes},
    }
    edited = await operator.patch(f"/v1/projects/{made['id']}", changes)
    assert edited["fee_micro"] == 6_667  # 20 %, 6666.6 rounded
    assert edited["quality"] == made["quality"] | {"min_overlap": 3}
    assert edited["slicing"] == made["slicing"] | {"tile": 256}
    assert [each["id"] for each in edited["label_schema"]["classes"]] == [1, 2, 3]
    again = await operator.get(f"/v1/projects/{made['id']}")
    assert again == edited
    assert edited["policy_version"] == 2
    untouched = made.keys() - changes.keys() - {"fee_micro", "policy_version"}
    assert all(again[name] == made[name] for name in untouched)


async def test_a_policy_that_would_contradict_itself_is_refused(world: World) -> None:
    operator, organisation_id = await world.operator()
    made = await world.project(operator, organisation_id, quality={"max_overlap": 4})
    path = f"/v1/projects/{made['id']}"
    for changes in (
        {"quality": {"min_overlap": 5}},
        {"slicing": {"whole": False, "tile": 128, "margin": 60}},
    ):
        problem = await operator.patch(path, changes, status=422)
        assert (problem["code"], problem["field"]) == ("invalid-policy", next(iter(changes)))
    assert await operator.get(path) == made


async def test_how_images_are_cut_is_fixed_with_the_first_image(world: World) -> None:
    here = await court(world, "a.jpg")
    problem = await here.operator.patch(here.path, {"slicing": {"tile": 256}}, status=409)
    assert (problem["code"], problem["fields"]) == ("not-editable", ["slicing"])
    assert (await here.operator.get(here.path))["slicing"] == here.project["slicing"]


async def test_how_answers_are_judged_can_be_edited_while_people_work(world: World) -> None:
    here = await court(world, "a.jpg")
    await here.operator.post(f"{here.path}/launch")
    policy = here.project["quality"]
    judged = {"gold_share": 0.3, "target_confidence": 0.8, "minimum_trust": 0.7}
    edited = await here.operator.patch(here.path, {"quality": policy | judged})
    assert edited["quality"] == policy | judged
    more = {"quality": judged | {"max_overlap": 19, "redo": 19}}
    problem = await here.operator.patch(here.path, more, status=409)
    fixed = ["quality.max_overlap", "quality.redo"]
    assert (problem["code"], problem["fields"]) == ("not-editable", fixed)


@pytest.mark.parametrize("multiple", [True, False])
async def test_class_ids_and_how_many_are_chosen_stay_for_ever_as_known_answers_use_them(
    world: World, *, multiple: bool
) -> None:
    operator, organisation_id = await world.operator()
    made = await world.project(
        operator, organisation_id, kind="classify", label_schema={**ANIMALS, "multiple": multiple}
    )
    path = f"/v1/projects/{made['id']}"
    fewer = {"classes": ANIMALS["classes"][:2], "multiple": multiple}
    problem = await operator.patch(path, {"label_schema": fewer}, status=409)
    assert (problem["code"], problem["classes"]) == ("not-editable", [3])
    other = {**ANIMALS, "multiple": not multiple}
    problem = await operator.patch(path, {"label_schema": other}, status=409)
    assert problem["code"] == "not-editable"
    renamed = [{**each, "name": f"{each['name']}s"} for each in ANIMALS["classes"]]
    edited = await operator.patch(
        path, {"label_schema": {"classes": renamed, "multiple": multiple}}
    )
    assert [each["name"] for each in edited["label_schema"]["classes"]] == ["cats", "dogs", "owls"]


async def test_how_tiles_answer_for_their_image_can_be_edited_as_no_answer_depends_on_it(
    world: World,
) -> None:
    operator, organisation_id = await world.operator()
    made = await world.project(operator, organisation_id, kind="classify", label_schema=ANIMALS)
    assert "of_tiles" not in made["label_schema"]
    path = f"/v1/projects/{made['id']}"
    for rule in ("any", "majority"):
        edited = await operator.patch(path, {"label_schema": {**ANIMALS, "of_tiles": rule}})
        assert edited["label_schema"]["of_tiles"] == rule


async def test_a_project_goes_only_where_it_can(world: World) -> None:
    here = await court(world, "a.jpg")
    for step in ("pause", "resume"):
        problem = await here.operator.post(f"{here.path}/{step}", status=409)
        assert (problem["code"], problem["state"]) == ("wrong-state", "draft")
    await here.launch()
    await walk(here, ("resume", 409, "open"), ("pause", 200, "paused"), ("pause", 409, "paused"))
    await walk(here, ("resume", 200, "open"), ("pause", 200, "paused"))
    await walk(here, ("complete", 200, "completed"))
    for step in ("pause", "resume", "complete", "launch"):
        await walk(here, (step, 409, "completed"))


async def walk(here: Court, *steps: tuple[str, int, str]) -> None:
    for step, status, state in steps:
        answer = await here.operator.post(f"{here.path}/{step}", status=status)
        assert answer["state"] == state
        if status == 409:
            assert answer["code"] == "wrong-state"


async def test_a_draft_can_be_given_up(world: World) -> None:
    here = await court(world)
    done = await here.operator.post(f"{here.path}/complete")
    assert done["state"] == "completed"
    await here.judge()


async def test_a_paused_project_hands_out_nothing_but_takes_and_pays_answers(
    world: World,
) -> None:
    here = await court(world, "a.jpg", "b.jpg", quality={"min_overlap": 2})
    await here.launch()
    early, late = await here.earners(2)
    leases = await here.lease(early)
    await here.operator.post(f"{here.path}/pause")
    await late.post("/v1/work/leases", {"project_id": here.project["id"]}, status=404)
    assert (await late.post("/v1/work/leases", {}))["leases"] == []
    assert (await late.get("/v1/work/offers"))["items"] == []
    await here.answer(early, leases, always(CAT))
    await here.operator.post(f"{here.path}/resume")
    assert len(await here.work(late, always(CAT))) == 2
    await here.judge()
    assert {task["state"] for task in (await here.tasks()).values()} == {"settled"}
    assert [each["state"] for each in await here.earnings(early)] == ["approved"] * 2


async def test_operators_see_their_own_projects_only(world: World) -> None:
    operator, organisation_id = await world.operator()
    made = [await world.project(operator, organisation_id, name=name) for name in "abc"]
    stranger, their_organisation = await world.operator()
    assert await projects(stranger, their_organisation) == []
    await stranger.get(f"/v1/organisations/{organisation_id}/projects", status=404)
    await stranger.get(f"/v1/projects/{made[0]['id']}", status=404)
    await stranger.patch(f"/v1/projects/{made[0]['id']}", {"name": "mine"}, status=404)
    for step in ("launch", "pause", "resume", "complete"):
        await stranger.post(f"/v1/projects/{made[0]['id']}/{step}", status=404)
    assert await projects(operator, organisation_id) == made[::-1]


async def projects(operator: As, organisation_id: str) -> Any:
    return (await operator.get(f"/v1/organisations/{organisation_id}/projects"))["items"]


async def test_what_answers_and_gold_are_made_of_stays_for_ever(world: World) -> None:
    operator, organisation_id = await world.operator()
    eyes = {"points": [{"name": "left"}, {"name": "right"}], "edges": [], "flips": []}
    face = {"id": 1, "name": "face", "colour": "#e6194b", "skeleton": eyes}
    plain = {name: face[name] for name in ("id", "name", "colour")}
    turned = {"classes": [plain], "rotated": True}
    three = {**face, "skeleton": {"points": [*eyes["points"], {"name": "nose"}]}}
    finer = {**face, "skeleton": {"points": [{**p, "sigma": 0.02} for p in eyes["points"]]}}
    for kind, schema, refused, taken in (
        ("box", turned, {**turned, "rotated": False}, {**turned, "rotated": True}),
        ("keypoints", {"classes": [face]}, {"classes": [three]}, {"classes": [finer]}),
    ):
        made = await world.project(operator, organisation_id, kind=kind, label_schema=schema)
        path = f"/v1/projects/{made['id']}"
        problem = await operator.patch(path, {"label_schema": refused}, status=409)
        assert (problem["code"], problem["fields"]) == ("not-editable", ["label_schema"])
        await operator.patch(path, {"label_schema": taken})


async def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are(world: World) -> None:
    operator, organisation_id = await world.operator()
    body = {
        "name": "Right?",
        "kind": "hologram",
        "label_schema": ANIMALS,
        "currency": "USD",
        "price_micro": 20_000,
    }
    path = f"/v1/organisations/{organisation_id}/projects"
    problem = await operator.post(path, body, status=422)
    assert problem["code"] == "unknown-kind"
    assert {"polygon", "verify", "join"} <= set(problem["known"])
