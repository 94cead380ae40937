"""Run lengths, beside pycocotools, which nobody here wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco

from tessera.shapes import rasters, rle
from tessera.shapes.frames import Window


def a_mask(seed: int, height: int, width: int, share: float) -> rle.Mask:
    return np.random.default_rng(seed).random((height, width)) < share


masks = st.builds(
    a_mask,
    st.integers(0, 10_000),
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]),
)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
@given(masks)
def test_what_was_encoded_is_decoded_and_coco_writes_the_same(mask: rle.Mask) -> None:
    counts = rle.encode(mask)
    assert np.array_equal(rle.decode(counts, *mask.shape), mask)
    written = rle.to_string(counts)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert written == theirs["counts"].decode()
    assert np.array_equal(rle.from_string(written), counts)
    assert np.array_equal(coco.decode({"size": list(mask.shape), "counts": written}), mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
@given(masks)
def test_a_mask_is_as_large_and_lies_where_coco_says(mask: rle.Mask) -> None:
    strokes = rasters.from_counts(rle.encode(mask), mask.shape[0])
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert strokes.pixels == coco.area(theirs)
    if mask.any():
        crop = strokes.as_json()
        assert [crop["left"], crop["top"], *crop["size"][::-1]] == coco.toBbox(theirs).tolist()
        left, top, width, height = coco.toBbox(theirs).astype(int).tolist()
        cut = mask[top : top + height, left : left + width]
        assert np.array_equal(rle.decode(rle.from_string(crop["counts"]), height, width), cut)


@given(masks, st.data())
def test_what_a_window_shows_of_strokes_is_what_it_shows_of_pixels(
    mask: rle.Mask, data: st.DataObject
) -> None:
    height, width = mask.shape
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    window = Window(left, top, right, bottom)
    shown = rasters.from_counts(rle.encode(mask), height).within(window)
    assert np.array_equal(
        rle.decode(shown.counts(window), bottom - top, right - left), mask[top:bottom, left:right]
    )


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=40))
def test_any_runs_go_through_the_string(runs: list[int]) -> None:
    counts = np.array(runs, dtype=np.int64)
    assert np.array_equal(rle.from_string(rle.to_string(counts)), counts)


@pytest.mark.parametrize("text", ["", " ", "é", "0p", "~", "oooooooo0", "o"])
def test_what_is_no_such_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"letter|empty|number"):
        rle.from_string(text)


@given(st.text(max_size=30))
def test_no_text_breaks_the_reading(text: str) -> None:
    try:
        counts = rle.from_string(text)
        rle.decode(counts, 9, 9)
    except ValueError:
        return
    assert counts.sum() == 81


@given(masks, st.integers(0, 10_000))
def test_however_runs_are_cut_the_counts_are_the_same(mask: rle.Mask, seed: int) -> None:
    counts = rle.encode(mask)
    rng = np.random.default_rng(seed)
    cut = [part for run in counts.tolist() for part in (int(rng.integers(0, run + 1)), 0, run)]
    cut[2::3] = [run - part for part, run in zip(cut[::3], cut[2::3], strict=True)]
    again = rasters.from_counts(np.array(cut), mask.shape[0])
    assert again.counts(Window(0, 0, *mask.shape[::-1])).tolist() == counts.tolist()


@pytest.mark.parametrize("counts", [[], [80], [82], [-1, 82], [2**62, 2**62, 2**62, 2**62, 81]])
def test_counts_that_do_not_fit_their_size_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match=r"make up|negative"):
        rle.decode(np.array(counts, dtype=np.int64), 9, 9)


def test_half_a_million_runs_take_no_time() -> None:
    mask: NDArray[np.bool_] = np.indices((1_000, 1_000)).sum(axis=0) % 2 == 0
    assert np.array_equal(
        rle.decode(rle.from_string(rle.to_string(rle.encode(mask))), 1_000, 1_000), mask
    )
