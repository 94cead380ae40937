"""Points of a skeleton on each object."""

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
from tests.kinds.samples import a_schema, about, asked, gold_of, opinions, tiles_of

KIND = KINDS["keypoints"]
TILE = Size(200, 160)
NAMES = ("head", "left hand", "right hand", "left foot", "right foot")
BODY = {
    "points": [{"name": name, "sigma": 0.05} for name in NAMES],
    "edges": [[0, 1], [0, 2], [0, 3], [0, 4]],
    "flips": [[1, 2], [3, 4]],
}
SCHEMA = LabelSchema.parse(
    {
        "classes": [
            {"id": 1, "name": "person", "colour": "#000000", "skeleton": BODY},
            {"id": 2, "name": "ape", "colour": "#000000", "skeleton": BODY},
            {
                "id": 3,
                "name": "snake",
                "colour": "#000000",
                "skeleton": {"points": [{"name": "head"}, {"name": "tail"}]},
            },
        ]
    }
)
QUESTION = about(TILE, SCHEMA)
POSE = [[50, 20, 2], [30, 50, 2], [70, 50, 1], [40, 90, 2], [60, 90, 2]]


def person(points: Any = POSE, label: int = 1, **more: Any) -> dict[str, Any]:
    return {"class": label, "points": points, "attributes": {}, **more}


def moved(right: float, down: float) -> Any:
    return [[x + right, y + down, v] for x, y, v in POSE]


def said(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"objects": list(objects)}


@pytest.mark.parametrize(
    ("found", "at"),
    [
        ({"class": 1}, "objects[0]"),
        (person("x"), "objects[0].points"),
        (person(POSE[:4]), "objects[0].points"),
        (person([*POSE, [1, 1, 2]]), "objects[0].points"),
        (person(POSE, label=3), "objects[0].points"),
        (person([*POSE[:4], [1, 1]]), "objects[0].points[4]"),
        (person([*POSE[:4], [1, 1, 3]]), "objects[0].points[4][2]"),
        (person([*POSE[:4], [1, 1, -1]]), "objects[0].points[4][2]"),
        (person([*POSE[:4], [1, 1, True]]), "objects[0].points[4][2]"),
        (person([*POSE[:4], [1, 1, 2.0]]), "objects[0].points[4][2]"),
        (person([*POSE[:4], [201.5, 1, 2]]), "objects[0].points[4][0]"),
        (person([*POSE[:4], [1, float("nan"), 2]]), "objects[0].points[4][1]"),
        (person([*POSE[:4], [1, "1", 1]]), "objects[0].points[4][1]"),
        (person([[0, 0, 0]] * 5), "objects[0].points"),
    ],
)
def test_points_that_do_not_fit_the_skeleton_are_refused(found: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(said(found), QUESTION)
    assert refusal.value.facts["at"] == at


def test_who_forgets_a_point_is_told_which() -> None:
    with pytest.raises(InvalidAnswer, match="right foot"):
        KIND.validate(said(person(POSE[:4])), QUESTION)


def test_every_class_needs_a_skeleton() -> None:
    KIND.check_schema(SCHEMA)
    with pytest.raises(InvalidLabelSchema) as refusal:
        KIND.check_schema(a_schema())
    assert refusal.value.facts["at"] == "classes[0]"


poses = st.lists(
    st.tuples(st.floats(-1, 201), st.floats(-1, 161), st.integers(0, 2)).map(list),
    min_size=5,
    max_size=5,
).filter(lambda points: any(v for *_, v in points))


@given(st.lists(poses, max_size=4), st.randoms())
def test_equal_answers_are_equal_bytes(rows: list[Any], chance: random.Random) -> None:
    objects = [person(row, 1 + i % 2) for i, row in enumerate(rows)]
    canonical = KIND.validate(said(*objects), QUESTION)
    shuffled = said(*chance.sample(objects, len(objects)))
    assert json.dumps(KIND.validate(shuffled, QUESTION)) == json.dumps(canonical)
    assert json.dumps(KIND.validate(canonical, QUESTION)) == json.dumps(canonical)
    for each in canonical["objects"]:
        assert all(point[:2] == [0, 0] for point in each["points"] if point[2] == 0)


def test_the_truth_scores_one_and_less_the_further_off_it_is() -> None:
    gold = said(person(), person(moved(90, 40)))
    assert KIND.score(gold, gold, QUESTION) == 1.0
    scores = [
        KIND.score(said(person(moved(by, 0)), person(moved(90, 40))), gold, QUESTION)
        for by in (1, 3, 6, 60)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.9
    assert scores[-1] == pytest.approx(0.5)
    left_out = [*POSE[:4], [0, 0, 0]]
    assert KIND.score(said(person(left_out)), said(person()), QUESTION) == pytest.approx(4 / 5)
    assert KIND.score(said(person()), said(person(left_out)), QUESTION) == 1.0
    assert KIND.score(said(person(label=2)), said(person()), QUESTION) == 0


def noisy(rng: np.random.Generator) -> dict[str, Any]:
    xy = np.array(POSE)[:, :2] + rng.normal(0, 3, (5, 2))
    rows = [[x, y, v] for (x, y), (*_, v) in zip(xy.tolist(), POSE, strict=True)]
    return KIND.validate(said(person(rows)), QUESTION)


def off(label: Any) -> float:
    (found,) = label["objects"]
    return float(np.hypot(*(np.array(found["points"])[:, :2] - np.array(POSE)[:, :2]).T).mean())


def test_several_shaky_hands_are_better_than_one_and_a_spoiler_moves_little() -> None:
    rng = np.random.default_rng(1)
    answers = [noisy(rng) for _ in range(5)]
    spoiler = Opinion("spoiler", said(person(moved(7, 7))), 0.6)
    for group in (opinions(*answers), [*opinions(*answers), spoiler]):
        outcome = KIND.aggregate(group, QUESTION, target_confidence=0.9)
        assert off(outcome.label) < 0.8 * np.mean([off(each) for each in answers])
        shuffled = random.Random(1).sample(group, len(group))
        assert KIND.aggregate(shuffled, QUESTION, target_confidence=0.9) == outcome


def test_a_point_is_there_and_visible_if_most_say_so() -> None:
    hidden = [[x, y, 1 if i == 4 else v] for i, (x, y, v) in enumerate(POSE)]
    missing = [*POSE[:4], [0, 0, 0]]
    for rows, expected in (
        ((POSE, POSE, hidden), 2),
        ((POSE, hidden, hidden), 1),
        ((POSE, missing, missing), 0),
        ((POSE, POSE, missing), 2),
    ):
        answers = opinions(*[said(person(row)) for row in rows])
        (found,) = KIND.aggregate(answers, QUESTION, target_confidence=0.9).label["objects"]
        assert found["points"][4][2] == expected


@pytest.mark.parametrize("margin", [40, 60])
@given(st.integers(0, 1_000))
def test_slicing_and_merging_gives_people_back(margin: int, seed: int) -> None:
    image, rng = Size(500, 420), np.random.default_rng(seed)
    places = [(x, y) for x in range(0, 400, 110) for y in range(0, 300, 110)]
    known = [
        person(
            [
                [
                    round(x + float(rng.uniform(0, 30)), 2),
                    round(y + float(rng.uniform(0, 30)), 2),
                    v,
                ]
                if v
                else [0.0, 0.0, 0]
                for x, y, _ in moved(*place)
                for v in [int(rng.integers(0, 3))]
            ],
            1 + int(rng.integers(0, 2)),
        )
        for place in places
    ]
    known = [each for each in known if any(v for *_, v in each["points"])]
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, question), question))
        for frame in tiles_of(image, tile=240, margin=margin)
        for question in [asked(frame, SCHEMA)]
    ]
    random.Random(seed).shuffle(pieces)
    merged = [[each["class"], each["points"]] for each in KIND.merge(pieces, SCHEMA)]
    assert sorted(map(json.dumps, merged)) == sorted(
        json.dumps([each["class"], each["points"]]) for each in known
    )


def test_someone_larger_than_a_window_is_joined_where_two_tiles_see_a_point() -> None:
    image = Size(360, 160)
    long = [[20, 80, 2], [110, 60, 2], [190, 100, 2], [270, 60, 1], [340, 80, 2]]
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, [person(long)], question), question))
        for frame in tiles_of(image, tile=160, margin=40)
        for question in [asked(frame, SCHEMA)]
    ]
    (found,) = KIND.merge(pieces, SCHEMA)
    assert found["points"] == long


def test_people_who_stand_close_are_not_made_one() -> None:
    two = [person(), person(moved(14, 0))]
    image = Size(300, 160)
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, two, question), question))
        for frame in tiles_of(image, tile=100, margin=20)
        for question in [asked(frame, SCHEMA)]
    ]
    found = [each["points"] for each in KIND.merge(pieces, SCHEMA)]
    assert sorted(found) == sorted(each["points"] for each in two)
