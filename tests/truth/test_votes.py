from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from tessera.truth.votes import Votes, sums
from tests.truth.crowd import any_votes, votes_of


def said(votes: Votes) -> list[tuple[int, int, int]]:
    together = zip(votes.items.tolist(), votes.earners.tolist(), votes.labels.tolist(), strict=True)
    return list(together)


@given(any_votes(twice=True))
def test_the_tally_counts_who_says_what_of_every_item(votes: Votes) -> None:
    counted = Counter((item, label) for item, _, label in said(votes))
    assert votes.tally.shape == (votes.n_items, votes.n_classes)
    assert votes.tally.tolist() == [
        [counted[item, label] for label in range(votes.n_classes)] for item in range(votes.n_items)
    ]
    of_items = Counter(item for item, _, _ in said(votes))
    assert votes.per_item.tolist() == [of_items[item] for item in range(votes.n_items)]


@given(any_votes())
def test_every_answer_is_one_saying_and_there_are_no_others(votes: Votes) -> None:
    sayings = votes.sayings.toarray()
    assert sayings.shape == (votes.n_items, votes.n_earners * votes.n_classes)
    assert sayings.sum() == votes.sayings.nnz == len(votes)
    for item, earner, label in said(votes):
        assert sayings[item, earner * votes.n_classes + label] == 1


@given(any_votes(twice=True))
def test_the_first_answer_of_an_earner_to_an_item_counts_and_no_later_one(votes: Votes) -> None:
    seen: set[tuple[int, int]] = set()
    first = []
    for item, earner, _ in said(votes):
        first.append((item, earner) not in seen)
        seen.add((item, earner))
    assert votes.first_each().tolist() == first


def test_some_of_the_answers_are_among_the_same_items_earners_and_classes() -> None:
    votes = votes_of([(0, 0, 1), (1, 1, 0), (2, 2, 2)], classes=3)
    for which in (np.array([False, True, False]), np.array([1])):
        few = votes.only(which)
        assert said(few) == [(1, 1, 0)]
        assert (few.n_items, few.n_earners, few.n_classes) == (3, 3, 3)
        assert few.per_item.tolist() == [0, 1, 0]


def test_they_stay_in_the_order_in_which_they_are_asked_for() -> None:
    votes = votes_of([(0, 0, 1), (1, 1, 0), (2, 2, 1)])
    assert said(votes.only(np.array([2, 0]))) == [(2, 2, 1), (0, 0, 1)]


def test_nobody_may_have_answered() -> None:
    votes = votes_of([], items=2, earners=3, classes=2)
    assert len(votes) == 0
    assert votes.tally.tolist() == [[0, 0], [0, 0]]
    assert votes.first_each().tolist() == []
    assert votes.sayings.shape == (2, 6)


@pytest.mark.parametrize("which", ["items", "earners", "labels"])
@pytest.mark.parametrize("wrong", [-1, 2])
def test_an_index_out_of_range_is_refused_by_name(which: str, wrong: int) -> None:
    arrays = {name: np.array([0, 1]) for name in ("items", "earners", "labels")}
    arrays[which] = np.array([0, wrong])
    with pytest.raises(ValueError, match=rf"{which} must lie in 0 \.\. 1"):
        Votes(**arrays, n_items=2, n_earners=2, n_classes=2)


@pytest.mark.parametrize("earners", [np.array([0]), np.array([0, 0, 0]), np.array([[0], [0]])])
def test_each_answer_is_one_of_one_earner(earners: NDArray[np.int64]) -> None:
    two = np.array([0, 0])
    with pytest.raises(ValueError, match="earners must have one number for each answer"):
        Votes(two, earners, two, 1, 1, 1)


def test_a_table_of_items_is_no_list_of_them() -> None:
    table = np.array([[0], [0]])
    with pytest.raises(ValueError, match="items must have one number for each answer"):
        Votes(table, table, table, 1, 1, 1)


def test_sums_add_up_in_place_and_count_where_there_is_nothing_to_add() -> None:
    where = np.array([2, 0, 2])
    assert sums(where, np.array([0.5, 1.0, 2.0]), 4).tolist() == [1.0, 0.0, 2.5, 0.0]
    assert sums(where, None, 4).tolist() == [1, 0, 2, 0]
