"""Cuboids, as eight corners or in metres."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import (
    KINDS,
    InvalidAnswer,
    InvalidLabelSchema,
    LabelSchema,
    Opinion,
    Piece,
    Size,
)
from tessera.shapes import solids
from tests.kinds.samples import BOX, a_schema, about, asked, gold_of, opinions, tiles_of

KIND = KINDS["cuboid"]
TILE = Size(1_200, 400)
CAMERA = [[700.0, 0, 600, 0], [0, 700, 200, 0], [0, 0, 1, 0]]
FLAT = a_schema()
SPACE = LabelSchema.parse({**FLAT.as_json(), "camera": CAMERA})
QUESTION, IN_SPACE = about(TILE, FLAT), about(TILE, SPACE)
CORNERS = [
    *([300, 100], [380, 110], [380, 200], [300, 190]),
    *([260, 90], [330, 95], [330, 170], [260, 165]),
]
SOLID = {"centre": [0.5, 1, 20], "size": [4, 1.5, 2], "yaw": 0.4}


def flat(corners: Any = CORNERS, **more: Any) -> dict[str, Any]:
    return {"class": 1, "cuboid": corners, "attributes": {}, **more}


def solid(**changes: Any) -> dict[str, Any]:
    return {"class": 1, "solid": {**SOLID, **changes}, "attributes": {}}


def said(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"objects": list(objects)}


def moved(corners: Any, right: float, down: float) -> Any:
    return (np.array(corners) + np.array([right, down])).tolist()


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        ({"class": 1}, "objects[0]"),
        (solid(), "objects[0].solid"),
        (flat("x"), "objects[0].cuboid"),
        (flat(CORNERS[:7]), "objects[0].cuboid"),
        (flat([*CORNERS, [1, 1]]), "objects[0].cuboid"),
        (flat([*CORNERS[:7], [1]]), "objects[0].cuboid[7]"),
        (flat([*CORNERS[:7], [1, float("nan")]]), "objects[0].cuboid[7][1]"),
        (flat([*CORNERS[:7], [2_401, 10]]), "objects[0].cuboid[7]"),
        (flat([*CORNERS[:7], [10, -401]]), "objects[0].cuboid[7]"),
        (flat([CORNERS[0], CORNERS[2], CORNERS[1], *CORNERS[3:]]), "objects[0].cuboid"),
        (flat([CORNERS[0]] * 4 + CORNERS[4:]), "objects[0].cuboid"),
        (flat(CORNERS[:4] + [CORNERS[4]] * 4), "objects[0].cuboid"),
        (flat(moved(CORNERS, -380, 0)), "objects[0].cuboid"),
    ],
)
def test_corners_that_make_no_cuboid_are_refused(answer: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(said(answer), QUESTION)
    assert refusal.value.facts["at"] == at


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        (flat(), "objects[0].cuboid"),
        ({"class": 1}, "objects[0]"),
        ({"class": 1, "solid": []}, "objects[0].solid"),
        ({"class": 1, "solid": {"centre": [0, 1, 20]}}, "objects[0].solid"),
        (solid(centre=[0, 1]), "objects[0].solid.centre"),
        (solid(centre=[0, 1, "x"]), "objects[0].solid.centre[2]"),
        (solid(centre=[0, 1, 20_000]), "objects[0].solid.centre"),
        (solid(centre=[0, 1, -20]), "objects[0].solid"),
        (solid(centre=[0, 1, 0.5]), "objects[0].solid"),
        (solid(centre=[300, 1, 20]), "objects[0].solid"),
        (solid(size=[4, 0, 2]), "objects[0].solid.size"),
        (solid(size=[4, 1e9, 2]), "objects[0].solid.size"),
        (solid(yaw=7), "objects[0].solid.yaw"),
        (solid(yaw=None), "objects[0].solid.yaw"),
    ],
)
def test_solids_that_cannot_be_seen_are_refused(answer: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(said(answer), IN_SPACE)
    assert refusal.value.facts["at"] == at


def test_only_a_schema_for_cuboids_has_a_camera() -> None:
    KIND.check_schema(SPACE)
    with pytest.raises(InvalidLabelSchema, match="camera"):
        BOX.check_schema(SPACE)
    with pytest.raises(InvalidLabelSchema, match="camera"):
        LabelSchema.parse({**FLAT.as_json(), "camera": CAMERA[:2]})


@given(st.floats(-2 * np.pi, 2 * np.pi), st.floats(-3, 3), st.floats(15, 60))
def test_a_solid_is_brought_into_one_form_and_stays_in_it(yaw: float, x: float, z: float) -> None:
    answer = KIND.validate(said(solid(yaw=yaw, centre=[x, 1, z])), IN_SPACE)
    assert json.dumps(KIND.validate(answer, IN_SPACE)) == json.dumps(answer)
    found = answer["objects"][0]["solid"]["yaw"]
    assert -3.1416 <= found < 3.1416
    assert np.cos(found) == pytest.approx(np.cos(yaw), abs=1e-3)
    assert np.sin(found) == pytest.approx(np.sin(yaw), abs=1e-3)


def test_the_truth_scores_one_and_less_the_further_off_it_is() -> None:
    for question, gold, others in (
        (QUESTION, flat(), [flat(moved(CORNERS, by, 0)) for by in (2, 6, 300)]),
        (IN_SPACE, solid(), [solid(centre=[0.5, 1, z]) for z in (20.2, 20.8, 45)]),
    ):
        scores = [KIND.score(said(each), said(gold), question) for each in (gold, *others)]
        assert scores[0] == pytest.approx(1)
        assert scores == sorted(scores, reverse=True)
        assert scores[1] > 0.8
        assert scores[-1] == 0


def noisy(rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    return [
        said(flat(np.round(CORNERS + rng.normal(0, 3, (8, 2)), 2).tolist())) for _ in range(count)
    ]


def off(label: Any) -> float:
    (found,) = label["objects"]
    return float(np.abs(np.array(found["cuboid"]) - CORNERS).mean())


def test_several_shaky_hands_are_better_than_one_and_a_spoiler_moves_little() -> None:
    rng = np.random.default_rng(3)
    answers = noisy(rng, 5)
    spoiler = Opinion("spoiler", said(flat(moved(CORNERS, 25, 10))), 0.6)
    for group in (opinions(*answers), [*opinions(*answers), spoiler]):
        outcome = KIND.aggregate(group, QUESTION, target_confidence=0.9)
        assert off(outcome.label) < 0.7 * np.mean([off(each) for each in answers])
        shuffled = random.Random(1).sample(group, len(group))
        assert KIND.aggregate(shuffled, QUESTION, target_confidence=0.9) == outcome


def test_who_takes_the_rear_for_the_front_is_outvoted_and_their_corners_still_count() -> None:
    rng = np.random.default_rng(5)
    answers = noisy(rng, 3)
    behind = np.array(answers[2]["objects"][0]["cuboid"])[solids.FROM_BEHIND]
    mixed = [*answers[:2], said(flat(behind.tolist()))]
    same = KIND.aggregate(opinions(*answers), QUESTION, target_confidence=0.9)
    assert KIND.aggregate(opinions(*mixed), QUESTION, target_confidence=0.9).label == same.label


def test_in_space_numbers_come_to_their_median_and_the_front_to_a_vote() -> None:
    answers = [
        said(solid(yaw=yaw, centre=[0.5, 1, z]))
        for yaw, z in ((0.38, 19.8), (0.4 - np.pi, 20.1), (0.45, 20.0))
    ]
    outcome = KIND.aggregate(opinions(*answers), IN_SPACE, target_confidence=0.9)
    (found,) = outcome.label["objects"]
    assert found["solid"] == {"centre": [0.5, 1, 20.0], "size": [4, 1.5, 2], "yaw": 0.4}


@pytest.mark.parametrize("margin", [0, 32])
@pytest.mark.parametrize("schema", [FLAT, SPACE])
def test_slicing_and_merging_gives_cuboids_back(margin: int, schema: LabelSchema) -> None:
    if schema is FLAT:
        known = [flat(), flat(moved(CORNERS, 95, 2), **{"class": 2}), flat(moved(CORNERS, 600, 90))]
    else:
        known = [solid(), solid(centre=[6, 1, 25]), solid(centre=[-4, 2, 12], yaw=-1.2)]
    known = KIND.validate(said(*known), about(TILE, schema))["objects"]
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, question), question))
        for frame in tiles_of(TILE, tile=160, margin=margin)
        for question in [asked(frame, schema)]
    ]
    field = "cuboid" if schema is FLAT else "solid"
    merged = sorted(json.dumps([each["class"], each[field]]) for each in KIND.merge(pieces, schema))
    assert merged == sorted(json.dumps([each["class"], each[field]]) for each in known)
    random.Random(2).shuffle(pieces)
    again = sorted(json.dumps([each["class"], each[field]]) for each in KIND.merge(pieces, schema))
    assert again == merged


def test_the_tile_that_owns_it_speaks_for_a_cuboid() -> None:
    left, right = tiles_of(Size(320, 160), tile=192, margin=16)[:2]
    whole = moved(CORNERS, -200, -60)
    pieces = [
        Piece(
            frame, KIND.to_image(said(flat(moved(whole, by - frame.window.left, 0))), asked(frame))
        )
        for frame, by in ((left, 0), (right, 3))
    ]
    (found,) = KIND.merge(pieces, FLAT)
    owner = 0 if left.core.left <= np.mean(whole, axis=0)[0] < left.core.right else 1
    assert found["cuboid"] == (whole if owner == 0 else moved(whole, 3, 0))
