import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.truth.stopping import (
    LEAST_CERTAIN,
    MOST_CERTAIN,
    USUAL,
    USUAL_MOST,
    USUAL_TARGET,
    Stopping,
    target_of,
)

prices = st.floats(1e-3, 1e9)


def test_it_pays_to_ask_while_the_risk_that_is_left_is_dearer_than_an_answer() -> None:
    """A wrong label at a hundred times the price: until one in a hundred is wrong."""
    assert target_of(price=1, wrong_label=100) == pytest.approx(0.99)
    assert target_of(price=20, wrong_label=100) == pytest.approx(0.8)


@given(prices, prices)
def test_at_the_target_an_answer_costs_as_much_as_it_may_save(
    price: float, wrong_label: float
) -> None:
    target = target_of(price=price, wrong_label=wrong_label)
    assert LEAST_CERTAIN <= target <= MOST_CERTAIN
    if LEAST_CERTAIN < target < MOST_CERTAIN:
        assert (1 - target) * wrong_label == pytest.approx(price, rel=1e-6)


@given(prices, prices, st.floats(1, 100))
def test_a_dearer_error_asks_for_no_less_and_a_dearer_answer_for_no_more(
    price: float, wrong_label: float, times: float
) -> None:
    target = target_of(price=price, wrong_label=wrong_label)
    assert target_of(price=price, wrong_label=wrong_label * times) >= target
    assert target_of(price=price * times, wrong_label=wrong_label) <= target


def test_nobody_is_asked_to_be_certain_nor_less_sure_than_a_coin() -> None:
    assert target_of(price=1, wrong_label=1e12) == MOST_CERTAIN < 1
    assert target_of(price=5, wrong_label=1) == LEAST_CERTAIN


@pytest.mark.parametrize(("price", "wrong_label"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_what_costs_nothing_has_no_target(price: float, wrong_label: float) -> None:
    with pytest.raises(ValueError, match="prices are positive"):
        target_of(price=price, wrong_label=wrong_label)


def test_at_least_more_than_at_most_is_refused() -> None:
    with pytest.raises(ValueError, match="min_overlap is above max_overlap"):
        Stopping(min_overlap=4, max_overlap=3)
    with pytest.raises(ValueError, match="min_overlap is above max_overlap"):
        Stopping(min_overlap=USUAL_MOST + 1)


def test_at_least_as_many_as_at_most_and_any_number_without_an_end_are_fine() -> None:
    assert Stopping(min_overlap=3, max_overlap=3).max_overlap == 3
    assert Stopping(min_overlap=1_000, max_overlap=None).min_overlap == 1_000
    assert (USUAL.max_overlap, USUAL.target_confidence) == (USUAL_MOST, USUAL_TARGET)
