"""What a project can cost, before a cent of it is spent."""

from dataclasses import astuple

from hypothesis import assume, given
from hypothesis import strategies as st

from tessera.projects.cost import LEAST_GOLD_PLACES, MOST_GOLD_PLACES, Cost, cost, gold_places
from tessera.projects.policies import Quality
from tessera.projects.service import fee

BASIS_POINTS = 10_000


@st.composite
def qualities(draw: st.DrawFn) -> Quality:
    least = draw(st.integers(1, 20))
    return Quality(
        gold_share=draw(st.floats(0, 0.5)),
        min_overlap=least,
        max_overlap=draw(st.integers(least, 50)),
        redo=draw(st.integers(0, 20)),
    )


tasks = st.integers(0, 10**7)
gold_tasks = st.integers(0, 10**5)
units = st.integers(1, 2 * 10**15)


@given(tasks, gold_tasks, qualities(), units)
def test_best_is_at_most_expected_and_expected_at_most_worst(
    some: int, gold: int, quality: Quality, unit: int
) -> None:
    planned = cost(some, gold, quality, unit_micro=unit)
    assert 0 <= planned.best_micro <= planned.expected_micro <= planned.worst_micro
    assert all(isinstance(amount, int) for amount in astuple(planned))


def test_costs_by_hand() -> None:
    two_to_six = Quality(min_overlap=2, max_overlap=6, redo=1, gold_share=0.2)
    # of the 4 answers between 2 and 6, 0.35 are usually asked for: 2 + 1.4 = 3.4 for each task
    assert cost(1000, 0, two_to_six, unit_micro=1) == Cost(2000, 3400, 7000)
    # with gold these are four fifths of all: 3400 / 0.8 = 4250, and at worst 7000 / 0.8 = 8750
    assert cost(1000, 10, two_to_six, unit_micro=1) == Cost(2000, 4250, 8750)
    # 200 answers to gold are expected beside 200 others, but it has only 20 places
    two = Quality(min_overlap=2, max_overlap=2, redo=0, gold_share=0.5)
    assert cost(100, 1, two, unit_micro=1, places_per_gold=20) == Cost(200, 220, 220)


@given(tasks, gold_tasks, qualities(), units)
def test_the_worst_case_is_every_place_paid(
    some: int, gold: int, quality: Quality, unit: int
) -> None:
    places = some * quality.places + gold * gold_places(some, gold, quality)
    assert cost(some, gold, quality, unit_micro=unit).worst_micro == places * unit


@given(tasks, gold_tasks, qualities(), units, st.integers(0, 10**4), st.integers(0, 50))
def test_training_costs_its_places_at_worst_and_whom_a_task_needs_at_best(
    some: int, gold: int, quality: Quality, unit: int, trained: int, questions: int
) -> None:
    without = cost(some, gold, quality, unit_micro=unit)
    planned = cost(some, gold, quality, unit_micro=unit, trained=trained, questions=questions)
    least = min(trained, quality.min_overlap) * questions * unit
    assert planned.training_micro == trained * questions * unit
    assert planned.worst_micro - without.worst_micro == planned.training_micro
    assert planned.best_micro - without.best_micro == least
    assert planned.best_micro <= planned.expected_micro <= planned.worst_micro


@given(tasks, gold_tasks, qualities(), units, st.integers(1, 10**4))
def test_costs_are_so_many_times_the_price(
    some: int, gold: int, quality: Quality, unit: int, times: int
) -> None:
    once = astuple(cost(some, gold, quality, unit_micro=unit))
    often = astuple(cost(some, gold, quality, unit_micro=unit * times))
    assert often == tuple(amount * times for amount in once)


@given(tasks, st.integers(1, 10**5), qualities())
def test_gold_can_be_met_as_often_as_its_share_asks(some: int, gold: int, quality: Quality) -> None:
    places = gold_places(some, gold, quality)
    assert LEAST_GOLD_PLACES <= places <= MOST_GOLD_PLACES
    assume(places < MOST_GOLD_PLACES)
    wanted = some * quality.places * quality.gold_share
    assert places * gold * (1 - quality.gold_share) >= wanted * (1 - 1e-9)


@given(tasks, qualities())
def test_without_gold_no_place_is_paid_for_it(some: int, quality: Quality) -> None:
    assert gold_places(some, 0, quality) == 0


@given(st.integers(1, 10**15), st.integers(0, BASIS_POINTS))
def test_the_fee_is_the_nearest_micro_unit_and_halves_go_up(price: int, points: int) -> None:
    exact = price * points
    assert -BASIS_POINTS < 2 * (fee(price, points) * BASIS_POINTS - exact) <= BASIS_POINTS


def test_fees_by_hand() -> None:
    assert fee(20_000, 2000) == 4_000
    assert fee(1, 2000) == 0
    assert fee(3, 2000) == 1  # 0.6
    assert fee(5, 1000) == 1  # 0.5, up
    assert fee(10**15, 10_000) == 10**15
