"""Points of a skeleton on each object."""

import json
import random
import time
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
    keypoints,
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


def test_of_someone_all_of_whose_points_lie_on_a_line_the_size_is_not_none() -> None:
    snake = [[20, 80, 2], [180, 80, 2]]
    drawn = [[20, 83, 2], [180, 77, 2]]
    scored = KIND.score(said(person(drawn, label=3)), said(person(snake, label=3)), QUESTION)
    assert 0.8 < scored < 1


def test_skeletons_of_several_sizes_go_into_one_answer() -> None:
    both = said(person(), person([[20, 80, 2], [180, 80, 2]], label=3))
    canonical = KIND.validate(both, QUESTION)
    assert sorted(len(each["points"]) for each in canonical["objects"]) == [2, 5]
    assert KIND.score(canonical, canonical, QUESTION) == 1
    label = KIND.aggregate(opinions(canonical, canonical), QUESTION, target_confidence=0.9).label
    assert [each["points"] for each in label["objects"]] == [
        each["points"] for each in canonical["objects"]
    ]


def test_as_many_points_on_one_spot_as_there_may_be_score_in_no_time() -> None:
    rng = np.random.default_rng(0)
    xy = np.array(POSE)[:, :2] + rng.uniform(-3, 3, (500, 5, 2))
    piled = [person([[x, y, 2] for x, y in each]) for each in xy.tolist()]
    canonical = KIND.validate(said(*piled), QUESTION)
    start = time.process_time()
    assert KIND.score(canonical, canonical, QUESTION) == pytest.approx(1)
    assert time.process_time() - start < 5, "seconds of work, as it took before it was bounded"


def noisy(rng: np.random.Generator) -> dict[str, Any]:
    xy = np.array(POSE)[:, :2] + rng.normal(0, 3, (5, 2))
    rows = [[x, y, v] for (x, y), (*_, v) in zip(xy.tolist(), POSE, strict=True)]
    return KIND.validate(said(person(rows)), QUESTION)


def off(label: Any) -> float:
    """Mean distance of the points of a label from those of the pose."""
    (found,) = label["objects"]
    return float(np.hypot(*(np.array(found["points"])[:, :2] - np.array(POSE)[:, :2]).T).mean())


def agreed(group: list[Opinion]) -> dict[str, Any]:
    return KIND.aggregate(group, QUESTION, target_confidence=0.9).label


@pytest.mark.parametrize(("count", "gain"), [(2, 0.8), (3, 0.75), (5, 0.6)])
def test_several_shaky_hands_are_better_than_one(count: int, gain: float) -> None:
    rng = np.random.default_rng(1)
    together, alone = [], []
    for _ in range(20):
        answers = [noisy(rng) for _ in range(count)]
        together.append(off(agreed(opinions(*answers))))
        alone.append(np.mean([off(each) for each in answers]))
    assert np.mean(together) < gain * np.mean(alone)


@pytest.mark.parametrize(
    "spoiled",
    [moved(7, 7), moved(90, 40), [*POSE[:4], [190, 150, 2]], [[x, y, 1] for x, y, _ in POSE]],
    ids=["a little off", "far off", "one point far off", "all hidden"],
)
def test_one_spoiler_among_three_moves_nothing(spoiled: Any) -> None:
    right = said(person())
    group = [*opinions(right, right), Opinion("spoiler", said(person(spoiled)), 0.9)]
    (found,) = (each for each in agreed(group)["objects"] if each["points"][0][0] < 100)
    assert np.abs(np.array(found["points"]) - np.array(POSE)).max() < 0.1


@given(st.randoms())
def test_the_order_of_opinions_does_not_matter(chance: random.Random) -> None:
    rng = np.random.default_rng(chance.randrange(100))
    group = opinions(*[noisy(rng) for _ in range(4)])
    assert agreed(chance.sample(group, 4)) == agreed(group)


def test_where_nobody_agrees_on_a_point_something_is_left() -> None:
    alone = [
        person([each if i == k else [0, 0, 0] for i, each in enumerate(POSE)]) for k in range(3)
    ]
    fused = keypoints.fuse(keypoints.load(alone, SCHEMA, (0, 0)), np.full(3, 0.9))
    assert keypoints.dump(fused)[0]["points"][:3] == POSE[:3]


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
    long = [[20, 80, 2], [110, 60, 2], [190, 100, 2], [270, 60, 1], [340, 80, 2]]
    pieces = pieces_of([person(long)], Size(360, 160), tile=160, margin=40)
    (found,) = KIND.merge(pieces, SCHEMA)
    assert found["points"] == long


def pieces_of(known: Any, image: Size, *, tile: int, margin: int, noise: float = 0) -> list[Piece]:
    rng, pieces = np.random.default_rng(3), []
    for frame in tiles_of(image, tile=tile, margin=margin):
        question = asked(frame, SCHEMA)
        label = gold_of(KIND, known, question)
        for each in label["objects"]:
            points = np.array(each["points"], dtype=float)
            points[:, :2] += rng.normal(0, noise, (len(points), 2)) * (points[:, 2:] > 0)
            points[:, :2] = points[:, :2].clip(0, frame.window.size)
            each["points"] = [[x, y, int(v)] for x, y, v in points.tolist()]
        pieces.append(Piece(frame, KIND.to_image(label, question)))
    return pieces


def test_a_tile_shows_someone_of_whom_it_shows_but_one_point() -> None:
    image = Size(480, 160)
    alone = person([[60, 80, 2], [240, 80, 2], [420, 80, 2], [240, 20, 2], [240, 140, 2]])
    frames = tiles_of(image, tile=200, margin=20)
    shown = [
        sum(v > 0 for *_, v in each["points"])
        for frame in frames
        for each in gold_of(KIND, [alone], asked(frame, SCHEMA))["objects"]
    ]
    assert shown == [1, 3, 1]


def test_what_shaky_hands_draw_tile_by_tile_is_put_together_as_if_by_one() -> None:
    known = [person(moved(x, y)) for x in range(0, 900, 70) for y in range(0, 500, 100)]
    found = KIND.merge(pieces_of(known, Size(1_000, 620), tile=300, margin=40, noise=2), SCHEMA)
    assert len(found) == len(known)
    away = [
        min(
            np.abs(np.array(each["points"])[:, :2] - np.array(one["points"])[:, :2]).max()
            for each in found
        )
        for one in known
    ]
    assert max(away) < 10


def test_people_who_stand_close_are_not_made_one() -> None:
    two = [person(), person(moved(14, 0))]
    pieces = pieces_of(two, Size(300, 160), tile=100, margin=20)
    found = [each["points"] for each in KIND.merge(pieces, SCHEMA)]
    assert sorted(found) == sorted(each["points"] for each in two)
