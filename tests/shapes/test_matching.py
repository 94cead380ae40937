from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.shapes.boxes import CROWD, as_boxes, crossing, hulls, ious, owned, pairs
from tessera.shapes.frames import Size
from tessera.shapes.matching import join, mutual_best

intervals = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 6)), max_size=20
)


@given(intervals)
def test_sweeping_finds_every_pair_that_meets_once(rows: list[tuple[int, int, int]]) -> None:
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    groups, low, high = table[:, 0].astype(np.int64), table[:, 1], table[:, 1] + table[:, 2]
    first, second = crossing(groups, low, high)
    found = sorted(
        tuple(sorted(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)
    )
    assert found == [
        (i, j)
        for i, j in combinations(range(len(rows)), 2)
        if groups[i] == groups[j] and low[i] <= high[j] and low[j] <= high[i]
    ]


@given(st.integers(0, 1_000), st.integers(0, 600), st.integers(0, 12))
def test_strips_find_the_same_pairs_as_one_table(seed: int, many: int, few: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 20, (many + few, 2))
    rows = np.hstack((corners, corners + rng.uniform(4, 10, (many + few, 2))))
    row, column, value = pairs(ious, rows[:many], rows[many:], least=0.3)
    table = ious(rows[:many], rows[many:])
    assert sorted(zip(row, column, strict=True)) == list(
        zip(*np.nonzero(table >= 0.3), strict=True)
    )
    assert (table[row, column] == value).all()


def test_of_too_many_boxes_on_one_spot_only_the_best_are_looked_at() -> None:
    spot = as_boxes([[0, 0, 10, 10]])
    row, column, value = pairs(ious, spot, np.repeat(spot, 3 * CROWD, axis=0), least=0.5)
    assert row.tolist() == [0] * CROWD
    assert column.tolist() == list(range(CROWD))
    assert set(value.tolist()) == {1.0}


edges = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9)),
    max_size=12,
    unique_by=lambda edge: edge[:2],
)


@given(edges)
def test_a_mutual_best_pair_is_beaten_at_neither_end(
    given_edges: list[tuple[int, int, int]],
) -> None:
    table = np.array(given_edges, dtype=np.int64).reshape(-1, 3)
    first, second, score = table[:, 0], table[:, 1], table[:, 2].astype(np.float64)
    best = mutual_best(first, second, score)
    assert len(set(first[best])) == len(set(second[best])) == len(best)
    for i in best:
        assert score[i] == max(score[(first == first[i]) | (second == second[i])])
    assert bool(len(best)) == bool(given_edges)


@given(
    st.lists(st.integers(0, 3), max_size=10),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20),
)
def test_joined_shapes_are_linked_and_no_two_are_of_one_owner(
    owners: list[int], links: list[tuple[int, int]]
) -> None:
    known = [(a, b) for a, b in links if max(a, b) < len(owners)]
    table = np.array(known, dtype=np.int64).reshape(-1, 2)
    groups = join(np.array(owners, dtype=np.int64), table[:, 0], table[:, 1]).tolist()
    for a, b in combinations(range(len(owners)), 2):
        if groups[a] == groups[b]:
            assert owners[a] != owners[b]
    assert list(dict.fromkeys(groups)) == list(range(len(set(groups)))), "by the lowest member"
    assert len(set(groups)) >= len(owners) - len(known)
    if known and len(set(known[0])) == 2 and owners[known[0][0]] != owners[known[0][1]]:
        assert groups[known[0][0]] == groups[known[0][1]]


def test_the_best_link_wins_where_not_all_can() -> None:
    owners = np.array([0, 1, 1])
    assert join(owners, np.array([0, 0]), np.array([2, 1])).tolist() == [0, 1, 0]


def test_nothing_is_joined_to_nothing() -> None:
    none = np.array([], dtype=np.int64)
    assert join(none, none, none).tolist() == []
    with pytest.raises(ValueError, match="cannot reshape"):
        as_boxes([[1, 2, 3]])


@given(st.lists(st.tuples(*[st.integers(-90, 190)] * 2, *[st.integers(0, 80)] * 2), max_size=20))
def test_every_box_is_owned_by_exactly_one_core(rows: list[tuple[int, int, int, int]]) -> None:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    boxes = np.hstack((table[:, :2], table[:, :2] + table[:, 2:]))
    cores = as_boxes([[x, y, x + 50, y + 50] for x in (0, 50) for y in (0, 50)])
    owners = sum(owned(boxes, core[None], Size(100, 100)).astype(int) for core in cores)
    assert (np.broadcast_to(owners, len(boxes)) == 1).all()


def test_the_hull_of_a_group_holds_all_of_it() -> None:
    boxes = as_boxes([[0, 5, 2, 6], [9, 9, 10, 10], [1, 0, 3, 4]])
    assert hulls(boxes, np.array([0, 1, 0])).tolist() == [[0, 0, 3, 6], [9, 9, 10, 10]]
