"""Simulated earners err as they are said to, and the same way each time."""

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.simulated import EARNERS, visible_truth
from demo.truth import Box, Labelled

CLASSES = [3, 5, 8, 13]
TILE = 640
HONEST = {
    "careful": (0.01, 0.02, 0.005),
    "average": (0.04, 0.04, 0.02),
    "sloppy": (0.15, 0.1, 0.08),
}
MANY = 6_000

names = st.sampled_from(sorted(EARNERS))
seeds = st.integers(0, 2**32)
sides = st.integers(16, 2_000)


@st.composite
def tiles(draw: st.DrawFn) -> tuple[int, int, list[Labelled]]:
    """A tile and truth that lies in it."""
    width, height = draw(sides), draw(sides)
    things = []
    for class_id in draw(st.lists(st.sampled_from(CLASSES), max_size=5)):
        left, top = draw(st.integers(0, width - 8)), draw(st.integers(0, height - 8))
        right, bottom = draw(st.integers(left + 8, width)), draw(st.integers(top + 8, height))
        things.append(Labelled(class_id, (left, top, right, bottom)))
    return width, height, things


@given(names, tiles(), seeds)
def test_every_answer_is_valid_and_repeatable(
    name: str, tile: tuple[int, int, list[Labelled]], seed: int
) -> None:
    width, height, things = tile
    answer = EARNERS[name].answer_boxes(things, width, height, CLASSES, random.Random(seed))
    for entry in answer["objects"]:
        left, top, right, bottom = entry["box"]
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert entry["class"] in CLASSES
    again = EARNERS[name].answer_boxes(things, width, height, CLASSES, random.Random(seed))
    assert again == answer


@given(names, st.sampled_from(CLASSES), seeds)
def test_every_class_answer_is_valid_and_repeatable(name: str, true: int, seed: int) -> None:
    answer = EARNERS[name].answer_classes([true], CLASSES, random.Random(seed))
    assert len(answer["classes"]) == 1
    assert set(answer["classes"]) <= set(CLASSES)
    assert EARNERS[name].answer_classes([true], CLASSES, random.Random(seed)) == answer


@pytest.mark.parametrize("name", HONEST)
def test_honest_earners_miss_misname_and_jitter_at_their_rates(name: str) -> None:
    miss, jitter, wrong = HONEST[name]
    rng = random.Random(name)
    thing = Labelled(5, (200, 150, 400, 190))
    answers = [
        EARNERS[name].answer_boxes([thing], TILE, TILE, CLASSES, rng)["objects"]
        for _ in range(MANY)
    ]
    drawn = [boxes[0] for boxes in answers if boxes]
    # A few standard errors of each rate; an average earner's false boxes hide few misses.
    assert 1 - len(drawn) / MANY == pytest.approx(miss, abs=0.015)
    assert mean(entry["class"] != 5 for entry in drawn) == pytest.approx(wrong, abs=0.012)
    near = [entry["box"] for entry in drawn if overlap(entry["box"], thing.box) > 0.3]
    for edge, side in ((0, 200), (1, 40), (2, 200), (3, 40)):
        spread = mean((box[edge] - thing.box[edge]) ** 2 for box in near) ** 0.5
        assert spread == pytest.approx(max(1.0, jitter * side), rel=0.1)


@pytest.mark.parametrize("name", HONEST)
def test_honest_earners_misname_pictures_at_their_rate(name: str) -> None:
    rng = random.Random(name)
    wrong = mean(
        EARNERS[name].answer_classes([8], CLASSES, rng)["classes"] != [8] for _ in range(MANY)
    )
    assert wrong == pytest.approx(HONEST[name][2], abs=0.012)


def test_only_average_people_draw_what_is_not_there_and_seldom() -> None:
    rng = random.Random(1)
    false = {
        name: mean(
            bool(EARNERS[name].answer_boxes([], TILE, TILE, CLASSES, rng)["objects"])
            for _ in range(MANY)
        )
        for name in HONEST
    }
    assert false == {"careful": 0, "average": pytest.approx(0.01, abs=0.004), "sloppy": 0}


def test_the_better_the_earner_the_better_the_boxes() -> None:
    rng = random.Random(1)
    thing = Labelled(5, (200, 150, 400, 250))
    quality = []
    for name in ("careful", "average", "sloppy", "random_clicker", "box_everything"):
        answers = [
            EARNERS[name].answer_boxes([thing], TILE, TILE, CLASSES, rng) for _ in range(500)
        ]
        quality.append(
            mean(overlap(e["box"], thing.box) for answer in answers for e in answer["objects"])
        )
    assert quality[:3] == sorted(quality[:3], reverse=True)
    assert quality[0] > 0.9
    assert quality[1] > 0.8
    assert quality[2] > 0.6
    assert max(quality[3:]) < 0.3


def test_a_jittered_edge_never_leaves_the_cut_edge_of_its_object() -> None:
    rng = random.Random(1)
    cut = Labelled(5, (0, 300, 100, TILE))
    for _ in range(200):
        for entry in EARNERS["careful"].answer_boxes([cut], TILE, TILE, CLASSES, rng)["objects"]:
            assert entry["box"][0] == 0
            assert entry["box"][3] == TILE


@pytest.mark.parametrize("name", sorted(EARNERS))
def test_honest_earners_look_at_the_picture_and_spammers_do_not(name: str) -> None:
    thing = Labelled(5, (200, 150, 400, 250))
    answers = [
        [
            EARNERS[name].answer_boxes(things, TILE, TILE, CLASSES, random.Random(seed))
            for seed in range(20)
        ]
        for things in ([thing], [])
    ]
    assert (answers[0] != answers[1]) == EARNERS[name].honest


def test_box_everything_covers_the_tile_and_too_fast_is_often_empty() -> None:
    rng = random.Random(1)
    for _ in range(50):
        boxes = EARNERS["box_everything"].answer_boxes([], TILE, 480, CLASSES, rng)["objects"]
        covered = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (entry["box"] for entry in boxes))
        assert covered == TILE * 480
    quick = [
        EARNERS["too_fast"].answer_boxes([], TILE, TILE, CLASSES, rng)["objects"]
        for _ in range(400)
    ]
    assert mean(not boxes for boxes in quick) == pytest.approx(0.5, abs=0.1)


@given(names, seeds)
def test_only_the_too_fast_answer_in_under_a_second(name: str, seed: int) -> None:
    seconds = EARNERS[name].seconds(random.Random(seed))
    if name == "too_fast":
        assert 0.3 <= seconds <= 0.8
    else:
        assert seconds >= 2


def test_an_object_cut_by_the_window_counts_while_a_quarter_of_it_is_seen() -> None:
    window = (1_000, 2_000, 1_640, 2_640)
    quarter = Labelled(3, (925, 2_100, 1_025, 2_200))
    less = Labelled(3, (924, 2_100, 1_024, 2_200))
    outside = Labelled(3, (100, 100, 200, 200))
    assert visible_truth([quarter, less, outside], window) == [Labelled(3, (0, 100, 25, 200))]


def test_a_part_thinner_than_eight_pixels_is_not_asked_for() -> None:
    window = (0, 0, 640, 640)
    assert visible_truth([Labelled(3, (632, 0, 652, 20))], window)
    assert not visible_truth([Labelled(3, (633, 0, 653, 20))], window)


@given(st.lists(st.tuples(*[st.integers(0, 900)] * 2, *[st.integers(8, 700)] * 2), max_size=8))
def test_whole_objects_keep_their_size_and_place_in_the_window(
    rectangles: list[tuple[int, int, int, int]],
) -> None:
    window = (0, 0, 2_000, 2_000)
    things = [Labelled(3, (x, y, x + w, y + h)) for x, y, w, h in rectangles]
    assert visible_truth(things, window) == things


def overlap(a: list[float], b: Box) -> float:
    """Intersection over union."""
    across = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return across * down / (both - across * down)
