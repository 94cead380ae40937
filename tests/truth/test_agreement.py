"""Krippendorff's alpha, beside his own example and what it means."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.truth.agreement import krippendorff_alpha

KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""Four observers, twelve units: Krippendorff 2011, section C."""
units = st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=12)


def test_his_own_example_comes_to_his_own_figure() -> None:
    columns = [[one for one in unit if one is not None] for unit in zip(*KRIPPENDORFF, strict=True)]
    assert krippendorff_alpha(columns) == pytest.approx(0.743, abs=5e-4)


def by_pairs(said: Sequence[Sequence[str]]) -> float | None:
    """The same from its definition: how often two opinions differ, in units and anywhere."""
    paired = [unit for unit in said if len(unit) > 1]
    everything = [each for unit in paired for each in unit]
    total = len(everything)
    within = sum(
        2 * sum(a != b for a, b in combinations(unit, 2)) / (len(unit) - 1) for unit in paired
    )
    anywhere = 2 * sum(a != b for a, b in combinations(everything, 2))
    return None if anywhere == 0 else 1 - within / total / (anywhere / total / (total - 1))


@given(units)
def test_it_is_what_its_definition_says(said: list[list[str]]) -> None:
    expected, found = by_pairs(said), krippendorff_alpha(said)
    assert (found is None) is (expected is None)
    assert found is None or expected is None or found == pytest.approx(expected)


@given(units)
def test_neither_order_nor_names_nor_what_one_says_alone_matter(
    said: list[list[str]],
) -> None:
    other = [[each * 2 for each in reversed(unit)] for unit in reversed(said)]
    found, again = krippendorff_alpha(said), krippendorff_alpha([*other, ["alone"]])
    assert (found is None) is (again is None)
    assert found is None or found == pytest.approx(again)


def test_nobody_agrees_beyond_chance_on_what_is_always_the_same() -> None:
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1
    assert krippendorff_alpha([["a", "b"], ["b", "a"]]) == -0.5
