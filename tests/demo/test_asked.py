"""People of every kind, asked every kind of question: what they say is always an answer."""

import random
from functools import cache
from statistics import mean
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from demo import hands
from demo.asked import Scene
from demo.hands import HANDS
from demo.pictures import Picture
from demo.simulated import EARNERS
from demo.ways import WAYS
from tessera.kinds import KINDS, Answer, LabelSchema, Question, Size, TileFrame, Window

SIDE, MARGIN, SEED = 384, 96, 3
DRAWN = ("polygon", "polyline", "semantic_mask", "instance_mask", "keypoints", "cuboid")
HONEST = ("careful", "average", "sloppy")

kinds = st.sampled_from(DRAWN)
names = st.sampled_from(sorted(EARNERS))
seeds = st.integers(0, 2**32)


@cache
def pictures(kind: str) -> list[Picture]:
    return list(WAYS[kind].pictures(SEED))


@cache
def schema(kind: str) -> LabelSchema:
    return LabelSchema.parse(dict(WAYS[kind].label_schema))


def asked(kind: str, picture: Picture, left: int, top: int) -> Question:
    """About a window that is anywhere in a picture."""
    size = Size(picture.width, picture.height)
    left, top = left % (size.width - SIDE), top % (size.height - SIDE)
    core = Window(left + MARGIN, top + MARGIN, left + SIDE - MARGIN, top + SIDE - MARGIN)
    return Question(schema(kind), TileFrame(Window(left, top, left + SIDE, top + SIDE), core, size))


def said(kind: str, name: str, scene: Scene, seed: int) -> Answer:
    ids = [each["id"] for each in WAYS[kind].label_schema["classes"]]
    return WAYS[kind].asked.answer(EARNERS[name], scene, ids, random.Random(seed))


def gold(kind: str, picture: Picture, question: Question) -> Answer:
    """What the product makes of the known objects of a picture, in one of its tiles."""
    size = Size(picture.width, picture.height)
    whole = Window(0, 0, *size)
    of_picture = Question(question.schema, TileFrame(whole, whole, size))
    known = [KINDS[kind].known(e, "", of_picture) for e in WAYS[kind].asked.known(picture)]
    label = KINDS[kind].to_tile(known, question)
    assert label is not None
    return label


@given(kinds, names, st.integers(0, 2_000), st.integers(0, 2_000), st.integers(0, 4), seeds)
def test_every_answer_is_valid_and_repeatable(
    kind: str, name: str, left: int, top: int, number: int, seed: int
) -> None:
    picture = pictures(kind)[number]
    question = asked(kind, picture, left, top)
    scene = WAYS[kind].asked.scene(picture, question)
    answer = said(kind, name, scene, seed)
    KINDS[kind].validate(answer, question)
    assert said(kind, name, scene, seed) == answer


@pytest.mark.parametrize("kind", DRAWN)
def test_who_makes_no_mistake_scores_as_well_as_can_be(kind: str) -> None:
    for picture in pictures(kind)[:2]:
        question = asked(kind, picture, 150, 220)
        right = WAYS[kind].asked.right(WAYS[kind].asked.scene(picture, question))
        valid = KINDS[kind].validate(right, question)
        assert KINDS[kind].score(valid, gold(kind, picture, question), question) > 0.999


@pytest.mark.parametrize("kind", DRAWN)
def test_gold_tells_the_careful_from_the_average_from_the_sloppy_from_spammers(kind: str) -> None:
    picture = pictures(kind)[0]
    question = asked(kind, picture, 150, 220)
    scene, true = WAYS[kind].asked.scene(picture, question), gold(kind, picture, question)

    def score(name: str) -> float:
        answers = (said(kind, name, scene, seed) for seed in range(15))
        return mean(
            KINDS[kind].score(KINDS[kind].validate(each, question), true, question)
            for each in answers
        )

    scores = [score(name) for name in HONEST]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 0.6
    assert max(score(name) for name in ("random_clicker", "box_everything")) < 0.35


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("name", sorted(EARNERS))
def test_honest_people_look_at_the_picture_and_spammers_do_not(kind: str, name: str) -> None:
    picture = pictures(kind)[0]
    scene = WAYS[kind].asked.scene(picture, asked(kind, picture, 150, 220))
    nothing = Scene([], scene.tile)
    answers = [[said(kind, name, each, seed) for seed in range(10)] for each in (scene, nothing)]
    assert (answers[0] != answers[1]) == EARNERS[name].honest


def test_a_drawing_ends_at_the_edge_of_the_tile_where_the_object_does() -> None:
    square = hands.polygon(np.array([(0, 100), (80, 100), (80, 180), (0, 180)], dtype=float))
    scene = Scene([{"class": 1, **square}], (SIDE, SIDE))
    for seed in range(50):
        for each in said("polygon", "average", scene, seed)["objects"]:
            ring = np.array(each["polygon"][0][0])
            assert ring[:, 0].min() == 0


def test_an_outline_that_a_hand_has_crossed_is_drawn_without_the_crossing() -> None:
    place = hands.polygon(np.array([(10, 10), (90, 10), (90, 90), (10, 90)], dtype=float))
    crossed = np.array([(10, 10), (90, 90), (90, 10), (10, 90)], dtype=float)
    moved = HANDS["polygon"].moved(place, crossed, (100, 100))
    assert len(moved["polygon"]) == 2
    assert shapely.MultiPolygon([(outer, holes) for outer, *holes in moved["polygon"]]).is_valid


@pytest.mark.parametrize("kind", sorted(HANDS))
def test_a_drawing_that_comes_to_nothing_stays_as_it_was(kind: str) -> None:
    outline = np.array([(10, 10), (50, 10), (50, 50), (10, 50)], dtype=float)
    place = HANDS[kind].form(outline)
    points = HANDS[kind].points(place)
    if kind != "keypoints":
        nothing = np.full_like(points, 20.0)
        assert HANDS[kind].moved(place, nothing, (100, 100)) == place
    assert HANDS[kind].moved(place, points, (100, 100)).keys() == place.keys()


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 40)), min_size=3, max_size=9))
def test_the_pixels_of_an_outline_are_those_whose_centres_it_holds(
    points: list[tuple[float, float]],
) -> None:
    found = shapely.make_valid(shapely.Polygon(np.round(points, 2) + 0.001))
    for part in shapely.get_parts(found):
        if part.geom_type != "Polygon":
            continue
        rings: list[Any] = [shapely.get_coordinates(r)[:-1].tolist()
                            for r in (part.exterior, *part.interiors)]  # fmt: skip
        bits = hands.pixels({"polygon": [rings]}, (60, 40))
        across, down = np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5)
        wrong = bits != shapely.contains_xy(part, across, down)
        edge = shapely.distance(shapely.points(across[wrong], down[wrong]), part.boundary)
        assert (edge < 1e-9).all()
