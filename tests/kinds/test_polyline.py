"""Open lines along objects."""

import json
import random
import time
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from tessera.kinds import KINDS, InvalidAnswer, Opinion, Piece, Size, TileFrame, polyline
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
    assert refusal.value.facts["at"] == "objects[3]"


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
    half = [[100.0, 10.0], [100.0, 80.0]]
    whole = said(a_line([[100.0, 10.0], [100.0, 150.0]]))
    assert KIND.score(said(a_line(half)), whole, QUESTION) == pytest.approx(2 / 3, abs=0.05)
    assert KIND.score(said(a_line(label=2)), gold, QUESTION) == 0


def test_who_scribbles_over_a_line_has_not_drawn_it() -> None:
    """Every place of the line is close to the scribble, and the other way round."""
    xs = np.linspace(10, 190, 60)
    scribble = np.stack((xs, 80 + 7 * (-1.0) ** np.arange(60)), axis=1)
    gold = said(a_line([[10.0, 80.0], [190.0, 80.0]]))
    assert KIND.score(said(a_line(scribble.tolist())), gold, QUESTION) < 0.5


@pytest.mark.parametrize("count", [2, 40])
def test_as_many_lines_on_one_spot_as_there_may_be_score_in_no_time(count: int) -> None:
    rng = np.random.default_rng(0)
    spot = np.linspace((10, 10), (190, 150), count)
    most = polyline.MOST_POINTS_TOGETHER // (count + polyline.POINTS_OF_NONE)
    piled = [a_line((spot + rng.uniform(-3, 3, spot.shape)).tolist()) for _ in range(most)]
    canonical = KIND.validate(said(*piled), QUESTION)
    start = time.process_time()
    assert KIND.score(canonical, canonical, QUESTION) == pytest.approx(1)
    assert time.process_time() - start < 5, "seconds of work, as it took before it was bounded"
    with pytest.raises(InvalidAnswer):
        KIND.validate(said(*piled, piled[0]), QUESTION)


def test_scribbles_of_kilometres_are_agreed_upon_in_no_time() -> None:
    rng = np.random.default_rng(0)
    scribble = rng.uniform((0, 0), TILE, (polyline.MOST_POINTS, 2)).tolist()
    answer = KIND.validate(said(a_line(scribble)), QUESTION)
    start = time.process_time()
    assert KIND.aggregate(opinions(answer, answer), QUESTION, target_confidence=0.9).decided
    assert time.process_time() - start < 5, "seconds of work, as it took before it was bounded"


def noisy(rng: np.random.Generator) -> dict[str, Any]:
    """The lane with points of one's own, each off by some pixels."""
    string = shapely.LineString(LANE)
    along = np.sort(rng.uniform(0, 1, 6))
    along[[0, -1]] = rng.uniform(0, 0.02), rng.uniform(0.98, 1)
    at = shapely.get_coordinates(shapely.line_interpolate_point(string, along, normalized=True))
    drawn = (at + rng.normal(0, 2, at.shape)).clip(0, (200, 160)).tolist()
    return KIND.validate(said(a_line(drawn if rng.random() < 0.5 else drawn[::-1])), QUESTION)


def off(label: Any) -> float:
    """Mean distance between the line of a label and the lane, from either."""
    (found,) = label["objects"]
    steps = np.linspace(0, 1, 100)
    one, other = (shapely.LineString(each) for each in (found["line"], LANE))
    return float(
        np.mean(
            [
                shapely.distance(shapely.line_interpolate_point(a, steps, normalized=True), b)
                for a, b in ((one, other), (other, one))
            ]
        )
    )


def agreed(group: list[Opinion]) -> dict[str, Any]:
    return KIND.aggregate(group, QUESTION, target_confidence=0.9).label


@pytest.mark.parametrize(("count", "gain"), [(2, 0.9), (3, 0.8), (5, 0.7)])
def test_several_shaky_hands_are_better_than_one(count: int, gain: float) -> None:
    rng = np.random.default_rng(6)
    together, alone = [], []
    for _ in range(20):
        answers = [noisy(rng) for _ in range(count)]
        together.append(off(agreed(opinions(*answers))))
        alone.append(np.mean([off(each) for each in answers]))
    assert np.mean(together) < gain * np.mean(alone)


SPOILERS = {
    "a little off": moved(6, 0),
    "far off": moved(60, 0),
    "half": LANE[:2],
    "to and fro": [*LANE, *LANE[::-1], *LANE],
}


@pytest.mark.parametrize("spoiled", SPOILERS.values(), ids=SPOILERS)
def test_one_spoiler_among_three_moves_nothing(spoiled: Any) -> None:
    lane = said(a_line())
    group = [*opinions(lane, lane), Opinion("spoiler", said(a_line(spoiled)), 0.9)]
    label = agreed(group)
    assert off({"objects": label["objects"][:1]}) < 0.5
    assert shapely.LineString(label["objects"][0]["line"]).length == pytest.approx(
        shapely.LineString(LANE).length, abs=2
    )


@given(st.randoms())
def test_the_order_of_opinions_does_not_matter(chance: random.Random) -> None:
    rng = np.random.default_rng(chance.randrange(100))
    group = opinions(*[noisy(rng) for _ in range(4)])
    assert agreed(chance.sample(group, 4)) == agreed(group)


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


RETURNING = {
    "turns around": [[20.0, 40.0], [300.0, 40.0], [300.0, 100.0], [20.0, 100.0]],
    "narrowly": [[20.0, 40.0], [300.0, 40.0], [300.0, 46.0], [20.0, 46.0]],
    "crosses itself": [[20.0, 40.0], [300.0, 200.0], [300.0, 40.0], [20.0, 200.0]],
    "ring": [[40.0, 40.0], [300.0, 40.0], [300.0, 250.0], [40.0, 250.0], [40.0, 40.0]],
    "along seams": [[20.0, 112.0], [400.0, 112.0], [400.0, 224.0], [20.0, 224.0]],
}


@pytest.mark.parametrize("points", RETURNING.values(), ids=RETURNING)
@pytest.mark.parametrize("margin", [0, 16, 24])
def test_a_line_that_leaves_a_window_and_comes_back_is_one_line(points: Any, margin: int) -> None:
    known = a_line(points)
    (found,) = together([known], tiles_of(IMAGE, tile=160, margin=margin))
    assert far(found, known) < 1
    assert shapely.LineString(found["line"]).length == pytest.approx(
        shapely.LineString(points).length, abs=3
    )


def test_lanes_side_by_side_stay_apart() -> None:
    lanes = [a_line([[5.0, y], [415.0, y + 20.0]]) for y in (40.0, 52.0, 64.0)]
    found = together(lanes, tiles_of(IMAGE, tile=120, margin=16))
    assert len(found) == 3
    for known in lanes:
        assert min(far(each, known) for each in found) < 1


def shaky(rng: np.random.Generator, known: dict[str, Any], frame: TileFrame) -> dict[str, Any]:
    """Drawn with a point every 40 px or so, each off by two."""
    line = shapely.LineString(known["line"])
    steps = np.linspace(0, 1, 2 + int(line.length / 40))
    at = shapely.get_coordinates(shapely.line_interpolate_point(line, steps, normalized=True))
    drawn = (at + rng.normal(0, 2, at.shape)).clip(0, frame.window.size)
    return {**known, "line": drawn.round(2).tolist()}


@pytest.mark.parametrize("seed", range(4))
def test_what_shaky_hands_draw_tile_by_tile_is_put_together_as_if_by_one(seed: int) -> None:
    """Roads along seams too, where each tile has what is there or nothing."""
    rng = np.random.default_rng(seed)
    roads = [a_line([[5.0, y], [415.0, y + rng.uniform(-4, 4)]]) for y in range(20, 310, 24)]
    pieces = []
    for frame in tiles_of(IMAGE, tile=160, margin=24):
        label = gold_of(KIND, roads, asked(frame))
        drawn = [shaky(rng, each, frame) for each in label["objects"]]
        pieces.append(Piece(frame, KIND.to_image(said(*drawn), asked(frame))))
    found = KIND.merge(pieces, SCHEMA)
    assert len(found) == len(roads)
    for known in roads:
        best = min(found, key=lambda each: far(each, known))
        assert far(best, known) < 10
        assert 0.95 < shapely.LineString(best["line"]).length / 410 < 1.15
