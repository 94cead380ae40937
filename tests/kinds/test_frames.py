from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import Size, TileFrame, Window
from tests.kinds.samples import BOX, a_box, asked, boxes, gold_of, whole

IMAGE = Size(1000, 800)
MIDDLE = TileFrame(Window(200, 100, 300, 180), Window(210, 110, 290, 170), IMAGE)


def test_a_label_moves_by_the_corner_of_its_window() -> None:
    attributes = {"occluded": "yes"}
    label = boxes(a_box(10, 20, 30, 40, label=1, attributes=attributes, confidence=0.9))
    assert BOX.to_image(label, asked(MIDDLE)) == [
        {
            "class": 1,
            "box": [210, 120, 230, 140],
            "attributes": attributes,
            "confidence": 0.9,
            "cut": [],
        }
    ]


def test_a_reviewers_answer_is_wholly_certain() -> None:
    assert BOX.to_image(boxes(a_box(10, 20, 30, 40)), asked(MIDDLE))[0]["confidence"] == 1.0


@pytest.mark.parametrize(
    ("edges", "cut"),
    [
        ((10, 20, 30, 40), []),
        ((0, 20, 30, 40), ["left"]),
        ((1.9, 20, 30, 40), ["left"]),
        ((2.1, 20, 30, 40), []),
        ((10, 0, 99, 40), ["top", "right"]),
        ((0, 0, 100, 80), ["left", "top", "right", "bottom"]),
    ],
)
def test_an_object_says_which_window_edges_cut_it(edges: tuple[float, ...], cut: list[str]) -> None:
    assert BOX.to_image(boxes(a_box(*edges)), asked(MIDDLE))[0]["cut"] == cut


def test_where_the_image_ends_nothing_is_cut_off() -> None:
    corner = TileFrame(Window(0, 720, 100, 800), Window(0, 730, 90, 800), IMAGE)
    assert BOX.to_image(boxes(a_box(0, 0, 100, 80)), asked(corner))[0]["cut"] == ["top", "right"]
    assert BOX.to_image(boxes(a_box(0, 0, 1000, 800)), asked(whole(IMAGE)))[0]["cut"] == []


def seen(*objects: dict[str, Any]) -> list[dict[str, Any]]:
    gold: list[dict[str, Any]] = gold_of(BOX, objects, asked(MIDDLE))["objects"]
    return gold


def test_gold_is_clipped_to_the_window_and_its_barely_visible_parts_are_optional() -> None:
    assert seen(a_box(190, 120, 210, 140)) == [a_box(0, 20, 10, 40)]
    assert seen(a_box(150, 120, 210, 140)) == [a_box(0, 20, 10, 40, optional=True)]
    assert seen(a_box(150, 120, 200.9, 140)) == []
    assert seen(a_box(150, 120, 200, 140)) == []
    assert seen(a_box(400, 400, 420, 420)) == []


def test_what_fills_a_window_is_in_plain_view_however_little_of_it_that_is() -> None:
    assert seen(a_box(0, 0, 1000, 800)) == [a_box(0, 0, 100, 80)]


def test_gold_keeps_what_was_optional_already_and_drops_boxes_without_area() -> None:
    assert seen(a_box(220, 120, 240, 140, optional=True))[0]["optional"] is True
    assert seen(a_box(220, 120, 220, 140)) == []


inside = st.tuples(
    st.integers(0, 6_000), st.integers(0, 6_000), st.integers(100, 2_000), st.integers(100, 2_000)
)


@given(st.lists(inside, max_size=5))
def test_gold_is_a_valid_answer_that_scores_one(rows: list[tuple[int, ...]]) -> None:
    known = [a_box(*(v / 100 for v in (x, y, x + w, y + h))) for x, y, w, h in rows]
    moved = [
        {**each, "box": [edge + (200, 100)[i % 2] for i, edge in enumerate(each["box"])]}
        for each in known
    ]
    gold = gold_of(BOX, moved, asked(MIDDLE))
    plain = {"objects": [{k: v for k, v in e.items() if k != "optional"} for e in gold["objects"]]}
    answer = BOX.validate(plain, asked(MIDDLE))
    assert answer == plain
    assert BOX.score(answer, gold, asked(MIDDLE)) == 1.0
