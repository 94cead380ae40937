"""What may follow what, and what the stages of a chain share."""

from typing import Any
from uuid import uuid4

import pytest

from tests.client import As
from tests.stories.real_coins import schema_of
from tests.world import World, photograph

BOXES = schema_of("box")
VERIFY: dict[str, Any] = {"kind": "verify", "label_schema": {**BOXES, "of": "box"}}


@pytest.fixture
async def office(world: World) -> tuple[As, str]:
    return await world.operator()


async def following(office: tuple[As, str], project_id: str, status: int = 201, **what: Any) -> Any:
    operator, organisation_id = office
    classes = {"classes": what.pop("classes")} if "classes" in what else {}
    body = {
        "name": "The next stage",
        "kind": "box",
        "label_schema": BOXES,
        "currency": "USD",
        "price_micro": 10_000,
        "follows": {"project_id": project_id, **classes},
        **what,
    }
    path = f"/v1/organisations/{organisation_id}/projects"
    return await operator.post(path, body, status=status)


async def test_a_stage_is_cut_as_the_first_one_and_is_about_its_images(
    world: World, office: tuple[As, str]
) -> None:
    first = await world.project(*office, slicing={"tile": 256, "margin": 16})
    await world.images(office[0], first["id"], [("a.jpg", photograph())])
    second = await following(office, first["id"])
    third = await following(office, second["id"], **VERIFY)
    assert second["slicing"] == third["slicing"] == first["slicing"]
    assert first["follows"] is None
    assert second["follows"] == {"project_id": first["id"], "classes": None}
    for stage in (second, third):
        (image,) = (await office[0].get(f"/v1/projects/{stage['id']}/images"))["items"]
        assert image["name"] == "a.jpg"
        progress = await office[0].get(f"/v1/projects/{stage['id']}/progress")
        assert progress["images"] == {"ready": 1}
        assert progress["tasks"]["waiting"] == 0


async def test_images_come_to_the_first_stage_only(world: World, office: tuple[As, str]) -> None:
    first = await world.project(*office)
    second = await following(office, first["id"])
    files = {"files": [{"name": "a.jpg", "content_type": "image/jpeg"}]}
    for path, body in (("images", files), ("imports", {"source": "zip"})):
        problem = await office[0].post(f"/v1/projects/{second['id']}/{path}", body, status=409)
        assert problem["code"] == "later-stage"
        assert problem["project_id"] == first["id"]


async def test_only_a_project_of_the_same_organisation_is_followed(
    world: World, office: tuple[As, str]
) -> None:
    theirs = await world.project(*await world.operator())
    for stranger in (theirs["id"], str(uuid4())):
        problem = await following(office, stranger, status=404)
        assert problem["detail"] == "There is no such project to follow."


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (
            {"kind": "verify", "label_schema": {**BOXES, "of": "polygon"}},
            "What is about a project of box has its label schema, and `of`: 'box'.",
        ),
        (
            {"kind": "verify", "label_schema": {"classes": BOXES["classes"][:1], "of": "box"}},
            "What is about a project of box has its label schema, and `of`: 'box'.",
        ),
        ({**VERIFY, "classes": [1]}, "It is about all that was settled, whatever its class."),
        ({"classes": [1, 77]}, "These classes are not known there."),
    ],
)
async def test_what_does_not_fit_together_is_refused(
    world: World, office: tuple[As, str], what: dict[str, Any], why: str
) -> None:
    first = await world.project(*office, label_schema=BOXES)
    problem = await following(office, first["id"], status=422, **what)
    assert (problem["code"], problem["detail"]) == ("cannot-follow", why)


async def test_a_later_stage_does_not_say_how_images_are_cut(
    world: World, office: tuple[As, str]
) -> None:
    first = await world.project(*office)
    problem = await following(office, first["id"], status=422, slicing={"tile": 512})
    assert "leave `slicing` out" in str(problem["errors"])


async def test_two_projects_do_not_verify_the_same(world: World, office: tuple[As, str]) -> None:
    first = await world.project(*office, label_schema=BOXES)
    await following(office, first["id"], **VERIFY)
    problem = await following(office, first["id"], status=422, **VERIFY)
    assert problem["detail"] == "Another project verifies or joins that one already."


async def test_a_chain_does_not_grow_for_ever(world: World, office: tuple[As, str]) -> None:
    last = await world.project(*office)
    for _ in range(7):
        last = await following(office, last["id"])
    problem = await following(office, last["id"], status=422)
    assert problem["detail"] == "A chain has at most 8 stages."


async def test_what_stages_share_is_not_edited(world: World, office: tuple[As, str]) -> None:
    operator, _ = office
    first = await world.project(*office, label_schema=BOXES)
    second = await following(office, first["id"], **VERIFY)
    third = {"id": 9, "name": "third", "colour": "#000000"}
    more = {"classes": [*BOXES["classes"], third]}
    for path, body, field in (
        (first["id"], {"slicing": {"tile": 1024}}, "slicing.tile"),
        (first["id"], {"label_schema": more}, "label_schema"),
        (second["id"], {"slicing": {"tile": 1024}}, "slicing.tile"),
        (second["id"], {"label_schema": {**more, "of": "box"}}, "label_schema"),
    ):
        problem = await operator.patch(f"/v1/projects/{path}", body, status=409)
        assert (problem["code"], problem["fields"]) == ("not-editable", [field])
    await operator.patch(f"/v1/projects/{second['id']}", {"name": "Right?", "price_micro": 5_000})


async def test_who_verifies_has_to_be_trusted_more_unless_the_operator_says_otherwise(
    world: World, office: tuple[As, str]
) -> None:
    first = await world.project(*office, label_schema=BOXES)
    second = await following(office, first["id"], **VERIFY)
    assert second["quality"]["minimum_trust"] == 0.75
    other = await world.project(*office, label_schema=BOXES)
    asked: dict[str, Any] = {"quality": {"minimum_trust": 0.6}}
    third = await following(office, other["id"], **VERIFY, **asked)
    assert third["quality"]["minimum_trust"] == 0.6


async def test_the_reasons_of_a_stage_are_words_that_are_known(
    world: World, office: tuple[As, str]
) -> None:
    first = await world.project(*office, label_schema=BOXES)
    schema = {**VERIFY["label_schema"], "reasons": ["ugly"]}
    problem = await following(office, first["id"], status=422, kind="verify", label_schema=schema)
    assert (problem["code"], problem["at"]) == ("invalid-label-schema", "reasons[0]")
