"""Which objects a tile may show."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import Kind, LabelSchema, Size, TileFrame, Window
from tessera.quality.views import views
from tests.kinds.samples import BOX, CLASSIFY, a_schema, asked, tiles_of

edges = st.integers(0, 40).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 1, 60)))
windows = st.builds(lambda x, y: Window(x[0], y[0], x[1], y[1]), edges, edges)
objects = st.builds(
    lambda x, y: {"class": 1, "box": [x[0] / 2, y[0] / 2, x[1] / 2, y[1] / 2]}, edges, edges
) | st.just({"class": 1})


@given(st.lists(objects, max_size=12), st.lists(windows, max_size=12))
def test_a_window_gets_what_reaches_it_and_what_is_everywhere(
    there: list[dict[str, Any]], cut: list[Window]
) -> None:
    found = {
        number: picks.tolist() for number, picks in views(CLASSIFY.reach(there, a_schema()), cut)
    }
    assert found == {
        number: [i for i, each in enumerate(there) if "box" not in each or meets(each, window)]
        for number, window in enumerate(cut)
    }


def meets(each: dict[str, Any], window: Window) -> bool:
    left, top, right, bottom = each["box"]
    return bool(
        left <= window.right
        and right >= window.left
        and top <= window.bottom
        and bottom >= window.top
    )


@pytest.mark.parametrize("kind", [BOX, CLASSIFY])
@given(st.integers(0, 2**32 - 1))
def test_a_tile_is_cut_from_what_it_gets_as_from_everything(kind: Kind, seed: int) -> None:
    rng, image = np.random.default_rng(seed), Size(300, 200)
    low = rng.uniform(0, (300, 200), (40, 2))
    high = np.minimum(low + rng.uniform(0.01, 80, (40, 2)), image)
    everything = [
        {"class": 1 + i % 3, "box": [*a, *b], "attributes": {}}
        for i, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
    ]
    schema: LabelSchema = a_schema(3)
    frames: list[TileFrame] = tiles_of(image, tile=64, margin=8)
    cut = views(kind.reach(everything, schema), [frame.window for frame in frames])
    for number, picks in cut:
        question = asked(frames[number], schema)
        got = kind.to_tile([everything[i] for i in picks], question)
        assert got == kind.to_tile(everything, question)


def test_objects_looked_at_grow_with_what_is_seen_and_not_with_tiles_times_objects() -> None:
    image = Size(4_000, 4_000)
    frames = tiles_of(image, tile=100, margin=10)
    low = np.random.default_rng(1).uniform(0, 3_990, (5_000, 2))
    there = np.hstack((low, low + 10))
    picked = sum(len(picks) for _, picks in views(there, [frame.window for frame in frames]))
    assert picked < 3 * len(there)
    assert len(frames) * len(there) > 1_000 * picked
