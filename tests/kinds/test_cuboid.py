"""Cuboids, as eight corners or in metres."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.kinds import (
    KINDS,
    InvalidAnswer,
    InvalidLabelSchema,
    LabelSchema,
    Opinion,
    Piece,
    Question,
    Size,
    cuboid,
)
from tessera.shapes import solids
from tests.kinds.samples import BOX, a_schema, about, asked, gold_of, opinions, tiles_of
from tests.seeds import examples

KIND = KINDS["cuboid"]
TILE = Size(1_200, 400)
CAMERA: list[list[float]] = [[700.0, 0, 600, 0], [0, 700, 200, 0], [0, 0, 1, 0]]
FLAT = a_schema()
SPACE = LabelSchema.parse({**FLAT.as_json(), "camera": CAMERA})
QUESTION, IN_SPACE = about(TILE, FLAT), about(TILE, SPACE)
CORNERS = [
    *([300, 100], [380, 110], [380, 200], [300, 190]),
    *([260, 90], [330, 95], [330, 170], [260, 165]),
]
SOLID: dict[str, Any] = {"centre": [0.5, 1, 20], "size": [4, 1.5, 2], "yaw": 0.4}


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


@pytest.mark.parametrize(
    ("camera", "at"),
    [
        ([[1e300] * 4, *CAMERA[1:]], "camera"),
        ([CAMERA[0], CAMERA[0], CAMERA[2]], "camera"),
        ([*CAMERA[:2], [0, 0, 0, 1]], "camera[2]"),
        ([[-v for v in row] for row in CAMERA], "camera[2]"),
        ([*CAMERA[:2], [0, 0, 1_000, 0]], "camera[2]"),
    ],
)
def test_a_camera_that_shows_no_space_before_it_is_refused(camera: Any, at: str) -> None:
    schema = LabelSchema.parse({**FLAT.as_json(), "camera": camera})
    with pytest.raises(InvalidLabelSchema) as refusal:
        KIND.check_schema(schema)
    assert refusal.value.facts["at"] == at


@given(st.floats(-2 * np.pi, 2 * np.pi), st.floats(-3, 3), st.floats(15, 60))
def test_a_solid_is_brought_into_one_form_and_stays_in_it(yaw: float, x: float, z: float) -> None:
    answer = KIND.validate(said(solid(yaw=yaw, centre=[x, 1, z])), IN_SPACE)
    assert json.dumps(KIND.validate(answer, IN_SPACE)) == json.dumps(answer)
    found = answer["objects"][0]["solid"]["yaw"]
    assert -3.1416 <= found < 3.1416
    assert np.cos(found) == pytest.approx(np.cos(yaw), abs=1e-3)
    assert np.sin(found) == pytest.approx(np.sin(yaw), abs=1e-3)


@given(st.floats(-6, 6), st.floats(-2e-4, 2e-4))
def test_what_is_taken_is_taken_again_however_near_it_is(yaw: float, off: float) -> None:
    at_origin = np.array([[0, 0, 0, 4, 1.5, 2, yaw]])
    nearest = cuboid.NEAREST - solids.corners_in_space(at_origin)[..., 2].min()
    near = said(solid(centre=[0, 0, nearest + off], yaw=yaw))
    try:
        answer = KIND.validate(near, IN_SPACE)
    except InvalidAnswer:
        return
    assert KIND.validate(answer, IN_SPACE) == answer


numbers = st.none() | st.booleans() | st.integers() | st.floats()
few = st.lists(numbers | st.floats(-50, 50), min_size=2, max_size=3)
places = st.fixed_dictionaries(
    {"class": st.just(1)},
    optional={
        "cuboid": st.lists(few, min_size=7, max_size=8) | numbers,
        "solid": st.fixed_dictionaries({"centre": few, "size": few, "yaw": numbers}) | numbers,
    },
)


@given(places, st.sampled_from([QUESTION, IN_SPACE]))
def test_no_json_breaks_the_reading_of_answers(place: Any, question: Question) -> None:
    try:
        answer = KIND.validate(said(place), question)
    except InvalidAnswer:
        return
    assert KIND.validate(answer, question) == answer


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


def in_space(rng: np.random.Generator) -> dict[str, Any]:
    x, y, z = SOLID["centre"] + rng.normal(0, (0.05, 0.03, 0.4))
    size = SOLID["size"] * np.exp(rng.normal(0, 0.06, 3))
    yaw = SOLID["yaw"] + rng.normal(0, 0.08)
    return KIND.validate(said(solid(centre=[x, y, z], size=size.tolist(), yaw=yaw)), IN_SPACE)


def test_in_space_three_are_better_than_one_though_one_of_them_is_a_spoiler() -> None:
    rng, gold = np.random.default_rng(11), said(solid())
    alone, together = [], []
    for _ in range(60):
        answers = [in_space(rng) for _ in range(3)]
        spoilt = [*answers[:2], said(solid(centre=[0.7, 1.1, 22], size=[8, 1, 1], yaw=2.0))]
        alone += [KIND.score(each, gold, IN_SPACE) for each in answers]
        together += [
            KIND.score(
                KIND.aggregate(opinions(*group), IN_SPACE, target_confidence=0.9).label,
                gold,
                IN_SPACE,
            )
            for group in (answers, spoilt)
        ]
    assert np.mean(together[::2]) > np.mean(alone) + 0.05
    assert np.mean(together[1::2]) > np.mean(alone) - 0.05


def fused(objects: list[dict[str, Any]], trust: list[float], schema: LabelSchema) -> Any:
    shapes = cuboid.load(objects, schema, (0, 0))
    return cuboid.dump(cuboid.fuse(shapes, np.array(trust)))[0]


BACK = np.array(CORNERS)[solids.FROM_BEHIND].tolist()


@pytest.mark.parametrize(
    ("objects", "schema"),
    [
        ([flat(), flat(BACK)], FLAT),
        ([flat(), flat(moved(BACK, 3, 1)), flat(moved(CORNERS, -2, 2)), flat(BACK)], FLAT),
        ([solid(), solid(yaw=0.45 - np.pi)], SPACE),
    ],
)
def test_even_votes_on_the_front_do_not_depend_on_who_was_first(
    objects: list[dict[str, Any]], schema: LabelSchema
) -> None:
    trust = [0.9] * len(objects)
    assert fused(objects, trust, schema) == fused(objects[::-1], trust, schema)


def test_one_whose_front_and_rear_are_the_same_does_not_turn_the_others_around() -> None:
    rng = np.random.default_rng(2)
    between = (np.array(CORNERS) + BACK) / 2
    for _ in range(50):
        honest = [flat(CORNERS + rng.normal(0, 3, (8, 2))) for _ in range(4)]
        lost = flat(between + rng.normal(0, 2, (8, 2)))
        found = fused([*honest, lost], [0.8] * 4 + [0.95], FLAT)["cuboid"]
        assert np.abs(np.array(found) - CORNERS).mean() < 4


def test_what_is_fused_in_space_is_where_its_corners_are() -> None:
    objects = [solid(), solid(centre=[0.6, 1, 20]), solid(centre=[2, 1, 19])]
    shapes = cuboid.load(objects, SPACE, (0, 0))
    found = cuboid.fuse(shapes, np.array([0.6, 0.6, 0.9]))
    projected = cuboid.load(cuboid.dump(found), SPACE, (0, 0))
    assert np.abs(cuboid.bounds(found) - cuboid.bounds(projected)).max() < 3


def a_street(rng: np.random.Generator, schema: LabelSchema) -> list[dict[str, Any]]:
    """In space anywhere, many before others; in the plane up to twice a window, many touching."""
    objects = []
    for _ in range(15):
        label = int(rng.integers(1, 3))
        if schema is SPACE:
            u, v, z = rng.uniform((150, 130, 9), (1_050, 270, 40)).tolist()
            where = [(u - 600) * z / 700, (v - 200) * z / 700, z]
            size = rng.uniform(1, 5, 3).tolist()
            objects.append(
                solid(centre=where, size=size, yaw=rng.uniform(-3, 3)) | {"class": label}
            )
        else:
            scale = np.exp(rng.uniform(np.log(0.2), np.log(2.6)))
            unit = (np.array(CORNERS) - (260, 90)) * scale
            right, down = np.ptp(unit, axis=0)
            at = rng.uniform((0, 0), (TILE.width - 2 * right, TILE.height - down))
            objects += [
                flat((unit + at + (by, 0)).tolist(), **{"class": label}) for by in (0, right)
            ]
    known: list[dict[str, Any]] = KIND.validate(said(*objects), about(TILE, schema))["objects"]
    return known


@settings(max_examples=examples(30))
@given(
    st.integers(0, 10_000),
    st.integers(160, 320),
    st.sampled_from([0, 8, 40]),
    st.sampled_from([FLAT, SPACE]),
)
def test_slicing_and_merging_is_the_identity(
    seed: int, tile: int, margin: int, schema: LabelSchema
) -> None:
    known = a_street(np.random.default_rng(seed), schema)
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, question), question))
        for frame in tiles_of(TILE, tile=tile, margin=margin)
        for question in [asked(frame, schema)]
    ]
    found = KIND.merge(pieces, schema)
    plain = [{k: v for k, v in e.items() if k not in ("confidence", "sources")} for e in found]
    assert sorted(map(json.dumps, plain)) == sorted(map(json.dumps, known))


def test_neighbours_that_touch_where_tiles_do_are_not_glued() -> None:
    frames = tiles_of(Size(320, 160), tile=160, margin=0)
    left, right = (flat(moved(CORNERS, by, -60)) for by in (160 - 380, 160 - 260))
    pieces = [
        Piece(frame, KIND.to_image(said(flat(moved(each["cuboid"], -x, 0))), asked(frame)))
        for frame, each, x in zip(frames, (left, right), (0, 160), strict=True)
    ]
    assert [each["cuboid"] for each in KIND.merge(pieces, FLAT)] == [
        left["cuboid"],
        right["cuboid"],
    ]


@pytest.mark.parametrize("schema", [FLAT, SPACE])
def test_the_order_of_tiles_does_not_matter(schema: LabelSchema) -> None:
    known = a_street(np.random.default_rng(4), schema)
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, question), question))
        for frame in tiles_of(TILE, tile=160, margin=32)
        for question in [asked(frame, schema)]
    ]
    order = random.Random(2).sample(range(len(pieces)), len(pieces))
    again = KIND.merge([pieces[i] for i in order], schema)
    for each in again:
        each["sources"] = [order[i] for i in each["sources"]]
    assert again == KIND.merge(pieces, schema)


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


def test_a_cuboid_centred_beyond_the_image_is_still_owned_by_a_tile() -> None:
    frame = tiles_of(Size(320, 160), tile=192, margin=16)[0]
    beyond = flat(moved(CORNERS, -360, -60))
    kept = KIND.aggregate(
        opinions(said(beyond), said(beyond), said()), asked(frame), target_confidence=0.99
    )
    assert [each.get("optional", False) for each in kept.label["objects"]] == [False]
    (found,) = KIND.merge([Piece(frame, KIND.to_image(kept.label, asked(frame)))], FLAT)
    assert "optional" not in found
