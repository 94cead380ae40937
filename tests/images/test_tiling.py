from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.images.tiling import Rect, grid, whole


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, int, int]:
    tile = draw(st.integers(1, 40))
    margin = draw(st.integers(0, (tile - 1) // 2))
    return draw(st.integers(1, 60)), draw(st.integers(1, 60)), tile, margin


def pixels(rect: Rect) -> set[tuple[int, int]]:
    return set(product(range(rect.left, rect.right), range(rect.top, rect.bottom)))


@given(grids())
def test_every_pixel_is_in_exactly_one_core(made: tuple[int, int, int, int]) -> None:
    width, height, tile, margin = made
    covered = [
        pixel for box in grid(width, height, tile=tile, margin=margin) for pixel in pixels(box.core)
    ]
    assert len(covered) == len(set(covered)) == width * height


@given(grids())
def test_windows_have_one_size_and_lie_in_the_image(made: tuple[int, int, int, int]) -> None:
    width, height, tile, margin = made
    for box in grid(width, height, tile=tile, margin=margin):
        assert box.window.width == min(tile, width)
        assert box.window.height == min(tile, height)
        assert box.window.left >= 0
        assert box.window.top >= 0
        assert box.window.right <= width
        assert box.window.bottom <= height


@given(grids())
def test_a_core_has_the_margin_around_it_except_at_the_edge_of_the_image(
    made: tuple[int, int, int, int],
) -> None:
    width, height, tile, margin = made
    for box in grid(width, height, tile=tile, margin=margin):
        core, window = box.core, box.window
        assert core.left - window.left >= margin or core.left == window.left == 0
        assert core.top - window.top >= margin or core.top == window.top == 0
        assert window.right - core.right >= margin or core.right == window.right == width
        assert window.bottom - core.bottom >= margin or core.bottom == window.bottom == height


@given(grids())
def test_neighbours_share_at_least_two_margins(made: tuple[int, int, int, int]) -> None:
    width, height, tile, margin = made
    boxes = {(box.row, box.column): box for box in grid(width, height, tile=tile, margin=margin)}
    for (row, column), box in boxes.items():
        right, below = boxes.get((row, column + 1)), boxes.get((row + 1, column))
        if right is not None:
            assert box.window.right - right.window.left >= 2 * margin
            assert right.core.left == box.core.right
        if below is not None:
            assert box.window.bottom - below.window.top >= 2 * margin
            assert below.core.top == box.core.bottom


@given(grids())
def test_tiles_come_in_reading_order(made: tuple[int, int, int, int]) -> None:
    width, height, tile, margin = made
    boxes = grid(width, height, tile=tile, margin=margin)
    assert [box.index for box in boxes] == list(range(len(boxes)))
    assert sorted(boxes, key=lambda box: (box.core.top, box.core.left)) == list(boxes)
    assert boxes == grid(width, height, tile=tile, margin=margin)


def test_a_grid_of_millions_is_made_at_once_and_any_box_of_it() -> None:
    boxes = grid(60_000, 60_000, tile=128, margin=48)
    assert len(boxes) == 1_872**2
    assert boxes[1_872].window == Rect(0, 32, 128, 160)
    assert boxes[len(boxes) - 1].window == Rect(59_872, 59_872, 60_000, 60_000)
    for no_place in (-1, len(boxes)):
        with pytest.raises(IndexError):
            boxes[no_place]


@given(grids(), st.data())
def test_an_object_of_two_margins_lies_wholly_in_some_window(
    made: tuple[int, int, int, int], data: st.DataObject
) -> None:
    width, height, tile, margin = made
    left = data.draw(st.integers(0, max(width - 2 * margin, 0)))
    top = data.draw(st.integers(0, max(height - 2 * margin, 0)))
    right, bottom = min(left + 2 * margin, width), min(top + 2 * margin, height)
    assert any(
        box.window.left <= left
        and right <= box.window.right
        and box.window.top <= top
        and bottom <= box.window.bottom
        for box in grid(width, height, tile=tile, margin=margin)
    )


def test_the_last_column_moves_inward_and_cores_meet_in_the_middle_of_what_is_shared() -> None:
    _, middle, last = grid(1000, 512, tile=512, margin=32)
    assert middle.core == Rect(480, 0, 724, 512)
    assert middle.window == Rect(448, 0, 960, 512)
    assert last.core == Rect(724, 0, 1000, 512)
    assert last.window == Rect(488, 0, 1000, 512)


def test_a_small_image_is_one_tile() -> None:
    (box,) = grid(300, 200, tile=512, margin=32)
    assert box.core == box.window == Rect(0, 0, 300, 200)
    assert whole(3000, 200)[0].window == Rect(0, 0, 3000, 200)
    assert len(whole(3000, 200)) == 1


@pytest.mark.parametrize(
    ("width", "height", "tile", "margin"),
    [(0, 5, 8, 2), (5, -1, 8, 2), (5, 5, 0, 0), (5, 5, 8, 4), (5, 5, 8, -1)],
)
def test_a_grid_that_makes_no_sense_is_our_bug(
    width: int, height: int, tile: int, margin: int
) -> None:
    with pytest.raises(ValueError, match="no grid"):
        grid(width, height, tile=tile, margin=margin)
