"""A join goes the whole way: two people's pieces, of which geometry cannot tell, are decided upon.

On a real photograph, through the HTTP API.
"""

from pathlib import Path
from typing import Any

import pytest

from tessera.kinds import KINDS, LabelSchema, Piece, Question, TileFrame
from tessera.kinds.objects import Objects
from tests.client import As
from tests.quality.facts import broken
from tests.stories.chains import Chain, a_chain
from tests.stories.opened import coco_boxes, coco_of
from tests.stories.real_coins import schema_of
from tests.world import World

SCHEMA = LabelSchema.parse(schema_of("box"))
FARTHEST = 40


def narrowed(label: dict[str, Any], by: int) -> dict[str, Any]:
    """Drawn by a hand that sees everything too narrow, as far as there is room."""
    objects = []
    for each in label["objects"]:
        left, top, right, bottom = each["box"]
        objects.append({**each, "box": [left, top, max(right - by, left + 2), bottom]})
    return {"objects": objects}


def doubtful(frames: dict[str, TileFrame], labels: dict[str, dict[str, Any]]) -> int:
    """How many pairs geometry cannot tell about."""
    kind = KINDS["box"]
    assert isinstance(kind, Objects)
    questions = {key: Question(SCHEMA, frame) for key, frame in frames.items()}
    pieces = [Piece(frames[key], kind.to_image(labels[key], questions[key])) for key in frames]
    return len(kind.doubts(pieces, SCHEMA))


def careless(chain: Chain) -> dict[str, dict[str, Any]]:
    """What is drawn on each tile, the first of them just so badly that there is a doubt."""
    first = min(chain.frames, key=lambda key: chain.frames[key].window)
    drawn = {key: chain.drawn(key) for key in chain.frames}
    for by in range(1, FARTHEST):
        labels = {**drawn, first: narrowed(drawn[first], by)}
        if doubtful(chain.frames, labels):
            return labels
    raise AssertionError("no drawing leaves a doubt")


@pytest.mark.parametrize("verdict", ["yes", pytest.param("no", marks=pytest.mark.long)])
async def test_people_decide_what_geometry_cannot(
    world: World, verdict: str, tmp_path: Path
) -> None:
    chain = await a_chain(world, "draw")
    await chain.add("join", "draw")
    labels = careless(chain)
    doubts = doubtful(chain.frames, labels)
    await chain.work("draw", lambda key, _: labels[key])
    path = f"/v1/projects/{chain.stages['join']}"
    assert (await chain.operator.get(f"{path}/progress"))["tasks"]["waiting"] == doubts
    await chain.operator.post(f"{path}/launch")
    await world.work.jobs()

    def joined(_: str, lease: dict[str, Any]) -> dict[str, Any]:
        assert {"first", "second"} <= lease["subject"].keys()
        return {"verdict": verdict}

    assert len(await chain.work("join", joined)) == 2 * doubts
    files = await chain.dataset("join", "coco")
    found = coco_boxes(coco_of(files["coco.json"], tmp_path), chain.photo.name)
    assert len(found) == count(chain, labels, same=verdict == "yes")
    assert await broken(world.sessions) == []


def count(chain: Chain, labels: dict[str, dict[str, Any]], *, same: bool) -> int:
    """Objects there are if all doubts are decided so."""
    kind = KINDS["box"]
    assert isinstance(kind, Objects)
    keys = sorted(chain.frames, key=lambda key: chain.frames[key].window[1::-1])
    pieces = [
        Piece(chain.frames[key], kind.to_image(labels[key], Question(SCHEMA, chain.frames[key])))
        for key in keys
    ]
    doubts = kind.doubts(pieces, SCHEMA)
    apart, together = (
        len(kind.merge(pieces, SCHEMA, dict.fromkeys(doubts, each))) for each in (False, True)
    )
    assert together < apart
    return together if same else apart


async def test_whoever_drew_a_piece_is_not_asked_about_it(world: World) -> None:
    chain = await a_chain(world, "draw")
    await chain.add("join", "draw")
    labels = careless(chain)
    people: list[As] = [await world.earner() for _ in range(2)]
    for each in people:
        await chain.answer(each, "draw", lambda key, _: labels[key])
    await world.work.jobs()
    await chain.operator.post(f"/v1/projects/{chain.stages['join']}/launch")
    await world.work.jobs()
    for each in people:
        assert await chain.lease(each, "join") == []
    assert await chain.lease(await world.earner(), "join")


async def test_what_cannot_be_joined_is_refused(world: World) -> None:
    operator, organisation_id = await world.operator()
    schema = {**schema_of("box"), "of": "box"}
    path = f"/v1/organisations/{organisation_id}/projects"
    body: dict[str, Any] = {
        "name": "Joined",
        "kind": "join",
        "label_schema": schema,
        "currency": "USD",
    }
    body |= {"price_micro": 1_000}
    problem = await operator.post(path, body, status=422)
    assert problem["code"] == "cannot-follow"
    whole = await world.project(
        operator, organisation_id, kind="classify", label_schema=schema_of("box")
    )
    follows = {"follows": {"project_id": whole["id"]}}
    classes = {"label_schema": {**schema_of("box"), "of": "classify"}}
    problem = await operator.post(path, {**body, **follows, **classes}, status=422)
    assert problem["detail"] == "Objects of classify are not in pieces."
    drawn = await world.project(operator, organisation_id, label_schema=schema_of("box"))
    last = await operator.post(path, {**body, "follows": {"project_id": drawn["id"]}})
    after = {"follows": {"project_id": last["id"]}}
    problem = await operator.post(path, {**body, **after}, status=422)
    assert problem["detail"].startswith("Nothing follows a project of kind join")
