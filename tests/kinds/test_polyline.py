"""Open lines along objects."""

import json
import random
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from tessera.kinds import KINDS, InvalidAnswer, Opinion, Piece, Size, TileFrame, Window
from tests.kinds.samples import a_schema, about, asked, gold_of, opinions, tiles_of

KIND = KINDS["polyline"]
TILE = Size(200, 160)
SCHEMA = a_schema()
QUESTION = about(TILE)
LANE = [[10.0, 150.0], [60.0, 90.0], [90.0, 40.0], [100.0, 5.0]]


def a_line(points: Any = LANE, label: int = 1, **more: Any) -> dict[str, Any]:
    return {"class": label, "line": points, "attributes": {}, **more}


def said(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"objects": list(objects)}


def moved(right: float, down: float) -> Any:
    return [[x + right, y + down] for x, y in LANE]


@pytest.mark.parametrize(
    ("found", "at"),
    [
        ({"class": 1}, "objects[0]"),
        (a_line("x"), "objects[0].line"),
        (a_line([]), "objects[0].line"),
        (a_line([[1, 1]]), "objects[0].line"),
        (a_line([[1, 1], [1, 1]]), "objects[0].line"),
        (a_line([[1, 1], [1.4, 1]]), "objects[0].line"),
        (a_line([[1, 1], [9]]), "objects[0].line[1]"),
        (a_line([[1, 1], [9, 9, 9]]), "objects[0].line[1]"),
        (a_line([[1, 1], [9, float("nan")]]), "objects[0].line[1][1]"),
        (a_line([[1, 1], ["9", 9]]), "objects[0].line[1][0]"),
        (a_line([[1, 1], [201.1, 9]]), "objects[0].line[1][0]"),
        (a_line([[1, 1], [9, -1.1]]), "objects[0].line[1][1]"),
        (a_line([[1, 1], [9, 9]] * 1_001), "objects[0].line"),
    ],
)
def test_what_is_no_line_is_refused_with_the_place(found: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(said(found), QUESTION)
    assert refusal.value.facts["at"] == at


def test_hundreds_of_endless_lines_are_too_much_for_one_answer() -> None:
    long = a_line([[1.0, 1.0], [199.0, 159.0]] * 1_000)
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(said(*[long] * 50), QUESTION)
    assert refusal.value.facts["at"] == "objects[10]"


points = st.tuples(st.floats(-1, 201), st.floats(-1, 161)).map(list)
lines = st.lists(points, min_size=2, max_size=6).filter(
    lambda line: shapely.LineString(line).length > 5
)


@given(st.lists(lines, max_size=4), st.randoms())
def test_a_line_has_no_direction_and_equal_answers_are_equal_bytes(
    rows: list[Any], chance: random.Random
) -> None:
    objects = [a_line(row, 1 + i % 3) for i, row in enumerate(rows)]
    canonical = KIND.validate(said(*objects), QUESTION)
    other = [{**each, "line": each["line"][::-1]} for each in chance.sample(objects, len(objects))]
    assert json.dumps(KIND.validate(said(*other), QUESTION)) == json.dumps(canonical)
    assert json.dumps(KIND.validate(canonical, QUESTION)) == json.dumps(canonical)
    for each in canonical["objects"]:
        assert KIND.score(said(each), said(each), QUESTION) == pytest.approx(1, abs=0.01)


def test_the_truth_scores_one_and_less_the_further_off_or_shorter_it_is() -> None:
    gold = said(a_line())
    scores = [KIND.score(said(a_line(moved(by, 0))), gold, QUESTION) for by in (0, 2, 4, 30)]
    assert scores[0] == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 0
    half = KIND.score(said(a_line(LANE[:2])), gold, QUESTION)
    assert 0.4 < half < 0.9
    assert KIND.score(said(a_line(label=2)), gold, QUESTION) == 0


def noisy(rng: np.random.Generator) -> dict[str, Any]:
    """The lane with points of one's own, each off by some pixels."""
    string = shapely.LineString(LANE)
    along = np.sort(rng.uniform(0, 1, 6))
    along[[0, -1]] = rng.uniform(0, 0.02), rng.uniform(0.98, 1)
    at = shapely.get_coordinates(shapely.line_interpolate_point(string, along, normalized=True))
    drawn = (at + rng.normal(0, 2, at.shape)).clip(0, (200, 160)).tolist()
    return KIND.validate(said(a_line(drawn if rng.random() < 0.5 else drawn[::-1])), QUESTION)


def off(label: Any) -> float:
    (found,) = label["objects"]
    steps = np.linspace(0, 1, 100)
    one, other = (shapely.LineString(each) for each in (found["line"], LANE))
    return float(
        sum(
            shapely.distance(shapely.line_interpolate_point(a, steps, normalized=True), b).mean()
            for a, b in ((one, other), (other, one))
        )
    )


def test_several_shaky_hands_are_better_than_one_and_a_spoiler_moves_little() -> None:
    rng = np.random.default_rng(6)
    gains = []
    for _ in range(8):
        answers = [noisy(rng) for _ in range(5)]
        spoiler = Opinion("spoiler", said(a_line(moved(7, 0))), 0.6)
        for group in (opinions(*answers), [*opinions(*answers), spoiler]):
            outcome = KIND.aggregate(group, QUESTION, target_confidence=0.9)
            gains.append(off(outcome.label) / np.mean([off(each) for each in answers]))
            shuffled = random.Random(1).sample(group, len(group))
            assert KIND.aggregate(shuffled, QUESTION, target_confidence=0.9) == outcome
    assert np.mean(gains) < 0.75


def together(known: list[dict[str, Any]], frames: list[TileFrame]) -> list[dict[str, Any]]:
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, question), question))
        for frame in frames
        for question in [asked(frame)]
    ]
    random.Random(1).shuffle(pieces)
    return KIND.merge(pieces, SCHEMA)


def far(found: dict[str, Any], known: dict[str, Any]) -> float:
    one, other = (shapely.LineString(each["line"]) for each in (found, known))
    return float(shapely.hausdorff_distance(one.segmentize(1), other.segmentize(1)))


def shortest_run(known: dict[str, Any], frames: list[TileFrame]) -> float:
    inside = shapely.intersection(
        shapely.LineString(known["line"]), [shapely.box(*frame.window) for frame in frames]
    )
    return float(shapely.length(shapely.get_parts(shapely.line_merge(inside))).min())


IMAGE = Size(420, 320)


def a_road(seed: int) -> list[list[float]]:
    """From one side to the other, with bends."""
    rng = np.random.default_rng(seed)
    xs = np.linspace(5, 415, 9)
    ys = np.cumsum(rng.normal(0, 30, 9)) + rng.uniform(60, 260)
    return np.round(np.stack((xs, ys.clip(5, 315)), axis=1), 2).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("margin", [0, 16])
@given(st.integers(0, 1_000))
def test_slicing_and_merging_gives_a_line_back(margin: int, seed: int) -> None:
    known, frames = a_line(a_road(seed), 2), tiles_of(IMAGE, tile=120, margin=margin)
    assume(margin or shortest_run(known, frames) > 1)  # less than a pixel is not asked about
    (found,) = together([known], frames)
    assert found["class"] == 2
    assert far(found, known) < 1
    assert shapely.LineString(found["line"]).length == pytest.approx(
        shapely.LineString(known["line"]).length, abs=3
    )


def test_a_line_that_leaves_a_window_and_comes_back_is_one_line() -> None:
    turning = a_line([[20.0, 40.0], [300.0, 40.0], [300.0, 100.0], [20.0, 100.0]])
    for margin in (0, 16):
        (found,) = together([turning], tiles_of(IMAGE, tile=160, margin=margin))
        assert far(found, turning) < 1


def test_lanes_side_by_side_stay_apart() -> None:
    lanes = [a_line([[5.0, y], [415.0, y + 20.0]]) for y in (40.0, 52.0, 64.0)]
    found = together(lanes, tiles_of(IMAGE, tile=120, margin=16))
    assert len(found) == 3
    for known in lanes:
        assert min(far(each, known) for each in found) < 1


def test_two_hands_that_differ_at_the_seam_draw_one_line() -> None:
    wide = Size(180, 100)
    left = TileFrame(Window(0, 0, 100, 100), Window(0, 0, 90, 100), wide)
    right = TileFrame(Window(80, 0, 180, 100), Window(90, 0, 180, 100), wide)
    drawn = {left: [[0.0, 50.0], [100.0, 50.0]], right: [[0.0, 53.0], [100.0, 52.0]]}
    pieces = [
        Piece(frame, KIND.to_image(said(a_line(line)), asked(frame)))
        for frame, line in drawn.items()
    ]
    (found,) = KIND.merge(pieces, SCHEMA)
    assert far(found, a_line([[0.0, 51.5], [180.0, 51.5]])) < 2.5
    assert shapely.LineString(found["line"]).length == pytest.approx(180, abs=4)
