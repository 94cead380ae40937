import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.quality import gate as gatekeeping
from tessera.quality.replay import Policy, Replayed, replay
from tessera.quality.trust import ENOUGH_GOLD, MINIMUM_TRUST, bar
from tessera.truth.confusion import estimate
from tessera.truth.stopping import Stopping
from tessera.truth.votes import UNKNOWN, Flags, Indices, Votes
from tests.seeds import seeds
from tests.truth.crowd import (
    Answers,
    answers,
    any_truth,
    any_votes,
    as_often,
    nothing_known,
    some_of,
    votes_of,
)

EVERYTHING = Policy(Stopping(max_overlap=None, target_confidence=2.0), minimum_trust=0.0)
"""Nobody is ever sure enough, and nobody is stopped."""


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    least = draw(st.integers(1, 4))
    most = draw(st.none() | st.integers(least, 6))
    return Policy(
        Stopping(least, most, draw(st.sampled_from([0.5, 0.9, 0.98, 0.9999, 2.0]))),
        draw(st.sampled_from([0.0, MINIMUM_TRUST, 0.95])),
    )


def counted(votes: Votes, found: Replayed) -> Flags:
    """Answers that were asked for, by those who were not stopped."""
    return found.asked & ~np.isin(votes.earners, list(found.stopped))


def right(labels: Indices, truth: Indices) -> float:
    return float((labels == truth).mean())


def spammed(seed: int, *, good: float = 0.9) -> Answers:
    """Nine who are mostly right, and number 9, who says anything; of three classes."""
    return answers([as_often(good, 3)] * 9 + [as_often(1 / 3, 3)], seed, items=400, per_item=5)


@given(st.data(), policies())
def test_of_each_item_as_many_are_asked_as_the_policy_says_if_there_are_as_many(
    data: st.DataObject, policy: Policy
) -> None:
    votes = data.draw(any_votes(twice=True))
    found = replay(votes, gold=data.draw(any_truth(votes)), policy=policy)
    stopping = policy.stopping
    going_on = votes.only(votes.first_each() & ~np.isin(votes.earners, list(found.stopped)))
    heard = votes.only(counted(votes, found)).per_item
    assert (heard >= np.minimum(stopping.min_overlap, going_on.per_item)).all()
    if stopping.max_overlap is not None:
        assert (heard <= stopping.max_overlap).all()


@given(st.data(), policies())
def test_an_earner_is_asked_about_an_item_once_however_often_they_were_recorded(
    data: st.DataObject, policy: Policy
) -> None:
    votes = data.draw(any_votes(twice=True))
    found = replay(votes, gold=data.draw(any_truth(votes)), policy=policy)
    assert not (found.asked & ~votes.first_each()).any()


@given(st.data(), policies())
def test_what_is_told_is_told_of_every_item_by_what_counts_and_nothing_else(
    data: st.DataObject, policy: Policy
) -> None:
    votes = data.draw(any_votes(twice=True))
    gold = data.draw(any_truth(votes))
    found = replay(votes, gold=gold, policy=policy)
    heard = votes.only(counted(votes, found))
    np.testing.assert_allclose(
        found.estimate.log_posterior, estimate(heard, known=gold).log_posterior, atol=1e-9
    )
    assert found.labels.shape == found.confidence.shape == (votes.n_items,)
    assert ((found.labels >= 0) & (found.labels < votes.n_classes)).all()
    assert (found.confidence >= 1 / votes.n_classes - 1e-9).all()
    assert (found.confidence <= 1).all()
    assert found.calibration.known == ((gold != UNKNOWN) & (heard.per_item > 0)).sum()
    assert all(stopped.trust.seen >= ENOUGH_GOLD for stopped in found.stopped.values())


@given(st.data(), policies())
def test_a_replay_is_the_same_each_time(data: st.DataObject, policy: Policy) -> None:
    votes = data.draw(any_votes(twice=True))
    gold = data.draw(any_truth(votes))
    first, second = (replay(votes, gold=gold, policy=policy) for _ in range(2))
    assert first.asked.tolist() == second.asked.tolist()
    assert first.labels.tolist() == second.labels.tolist()
    assert first.confidence.tolist() == second.confidence.tolist()
    assert first.stopped == second.stopped


@given(st.data())
def test_who_is_never_sure_enough_asks_for_all_there_is(data: st.DataObject) -> None:
    votes = data.draw(any_votes(twice=True))
    found = replay(votes, gold=data.draw(any_truth(votes)), policy=EVERYTHING)
    assert found.asked.tolist() == votes.first_each().tolist()
    assert found.stopped == {}


@pytest.mark.parametrize("seed", seeds(4))
def test_an_easy_crowd_need_be_asked_less_than_six_tenths_at_less_than_a_point(seed: int) -> None:
    votes, truth = answers([as_often(0.88)] * 30, seed, items=600, per_item=9)
    gold = some_of(truth, 0.1, seed)
    scored = gold == UNKNOWN
    some, everything = (replay(votes, gold=gold, policy=each) for each in (Policy(), EVERYTHING))
    assert some.asked.mean() < 0.6
    lost = right(everything.labels[scored], truth[scored]) - right(
        some.labels[scored], truth[scored]
    )
    assert lost < 0.01


@pytest.mark.parametrize("seed", seeds(4))
def test_a_lower_target_asks_for_less(seed: int) -> None:
    votes, truth = answers([as_often(0.75, 3)] * 20, seed, per_item=10)
    gold = some_of(truth, 0.1, seed)
    targets = (0.6, 0.8, 0.9, 0.97, 0.995, 0.9999)
    asked = [
        int(replay(votes, gold=gold, policy=Policy(Stopping(2, None, target))).asked.sum())
        for target in targets
    ]
    assert asked == sorted(asked)
    assert asked[-1] > 1.3 * asked[0]


def test_who_is_in_dispute_is_asked_about_more_than_who_is_not() -> None:
    votes, truth = answers([as_often(0.8)] * 20, 3, items=400, per_item=12)
    found = replay(votes, gold=nothing_known(votes), policy=Policy())
    heard = votes.only(found.asked)
    split = np.minimum(heard.tally[:, 0], heard.tally[:, 1]) > 0
    assert heard.per_item[split].mean() > heard.per_item[~split].mean() + 2
    assert right(found.labels, truth) > 0.95


def test_one_item_in_dispute_is_asked_about_until_it_is_settled_and_no_longer() -> None:
    """So few answers change nothing in what is known of people."""
    easy = [(item, earner, item % 2) for item in range(400) for earner in range(4)]
    split = [(400, earner, earner % 2) for earner in range(6)]
    further = [(400, earner, 0) for earner in range(6, 30)]
    votes = votes_of([*easy, *split, *further])
    found = replay(votes, gold=nothing_known(votes), policy=Policy(Stopping(6, None, 0.9999)))
    assert found.labels[400] == 0
    assert 6 < found.asked[votes.items == 400].sum() < 15


@pytest.mark.parametrize("seed", seeds(6, short=3))
def test_gold_stops_who_says_anything_and_nobody_else(seed: int) -> None:
    votes, truth = spammed(seed)
    gold = some_of(truth, 0.25, seed)
    found = replay(votes, gold=gold, policy=Policy())
    assert set(found.stopped) == {9}
    trust = found.stopped[9].trust
    assert trust.missed > trust.seen / 2
    asked = found.asked[votes.earners == 9]
    assert trust.seen <= asked.sum() < len(asked) / 2
    assert found.estimate.crowd.seen[9] == 0
    np.testing.assert_array_equal(
        found.estimate.crowd.seen[:9], np.bincount(votes.earners[found.asked])[:9]
    )


def by_turns(wrong: int) -> Votes:
    """Number 0 is the first to answer items 0 to 7, and misses some of them; the last of others."""
    first = [(item, 0, int(item < wrong)) for item in range(8)]
    honest = [(item, earner, 0) for item in range(16) for earner in (1, 2, 3)]
    last = [(item, 0, 1) for item in range(8, 16)]
    return votes_of(first + honest + last)


def test_who_was_stopped_is_asked_nothing_more_and_what_they_said_does_not_count() -> None:
    gold = np.where(np.arange(16) < 8, 0, UNKNOWN)
    all_at_last = Policy(Stopping(1, None, 2.0))
    for wrong, stopped in ((8, [0]), (0, [])):
        votes = by_turns(wrong)
        found = replay(votes, gold=gold, policy=all_at_last)
        assert list(found.stopped) == stopped
        theirs = votes.earners == 0
        assert found.asked[~theirs].all()
        assert found.asked[theirs].tolist() == [True] * 8 + [not stopped] * 8
        assert found.estimate.crowd.seen.tolist() == [0 if stopped else 16, 16, 16, 16]
        assert found.labels.tolist() == [0] * 16


def test_of_items_that_a_stopped_earner_answered_others_are_asked() -> None:
    """They would have had two answers, as many as are wanted."""
    said = [(item, earner, int(earner == 0)) for item in range(8) for earner in range(4)]
    gold = np.where(np.arange(8) < 7, 0, UNKNOWN)
    found = replay(votes_of(said), gold=gold, policy=Policy(Stopping(2, 2)))
    assert list(found.stopped) == [0]
    assert found.asked.reshape(8, 4).tolist() == [[True, True, True, False]] * 8


@pytest.mark.parametrize("seed", seeds(4, short=2))
def test_hardly_anybody_is_stopped_for_missing_what_most_people_miss(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes, truth = answers([as_often(0.55, 4)] * 20, seed, items=400, per_item=8)
    gold = some_of(truth, 0.3, seed)
    kept_on = 20 - len(replay(votes, gold=gold, policy=Policy()).stopped)
    assert kept_on >= 18, "one in 25 misses the first four by bad luck"
    monkeypatch.setattr(gatekeeping, "bar", lambda minimum, **_: minimum)
    assert len(replay(votes, gold=gold, policy=Policy()).stopped) > 2 * (20 - kept_on)


def test_the_bar_is_the_projects_unless_even_the_better_ones_are_hardly_above_it() -> None:
    assert bar(0.6, better=0.95) == 0.6
    assert bar(0.6, better=0.4) == pytest.approx(0.2)
    assert bar(0.6, better=None) == 0.6
    assert bar(0.0, better=0.95) == 0


@pytest.mark.parametrize("minimum", [0.0, MINIMUM_TRUST, 0.8])
def test_a_stricter_project_stops_more_people(minimum: float) -> None:
    tables = [as_often(share) for share in np.linspace(0.5, 0.95, 20)]
    votes, truth = answers(tables, 4, items=500, per_item=8)
    gold = some_of(truth, 0.4, 4)
    stopped = [
        len(replay(votes, gold=gold, policy=Policy(minimum_trust=each)).stopped)
        for each in (minimum, minimum + 0.15)
    ]
    assert stopped[0] <= stopped[1]
    assert (stopped[0] == 0) == (minimum == 0)


def test_without_gold_nobody_is_stopped_and_all_is_told() -> None:
    votes, truth = spammed(1)
    found = replay(votes, gold=nothing_known(votes), policy=Policy())
    assert found.stopped == {}
    assert found.calibration.known == 0
    assert right(found.labels, truth) > 0.9
    assert found.asked.mean() < 0.9


def test_gold_is_asked_about_and_told_like_any_other_item() -> None:
    """As well as others are, and not as if it were known."""
    votes, truth = spammed(2, good=0.8)
    gold = some_of(truth, 0.3, 2)
    found = replay(votes, gold=gold, policy=Policy())
    known = gold != UNKNOWN
    heard = votes.only(found.asked).per_item
    assert len(found.labels) == votes.n_items
    assert heard[known].mean() == pytest.approx(heard[~known].mean(), abs=0.35)
    assert right(found.labels[known], truth[known]) < 1
    assert right(found.labels[known], truth[known]) == pytest.approx(
        right(found.labels[~known], truth[~known]), abs=0.06
    )


def test_nothing_that_is_gold_of_what_nobody_answered_teaches() -> None:
    votes = votes_of([(0, 0, 0), (0, 1, 0)], items=3)
    found = replay(votes, gold=np.array([UNKNOWN, 1, 1]), policy=Policy())
    assert found.calibration.known == 0
    assert found.asked.tolist() == [True, True]


def test_of_no_answers_nothing_is_asked() -> None:
    votes = votes_of([], items=2, earners=1, classes=2)
    found = replay(votes, gold=np.array([0, UNKNOWN]), policy=Policy())
    assert found.asked.tolist() == []
    np.testing.assert_allclose(found.confidence, 0.5)


def test_of_equals_those_who_were_recorded_first_are_asked() -> None:
    said = [(item, earner, 0) for earner in (2, 0, 1) for item in range(3)]
    votes = votes_of(said)
    found = replay(votes, gold=nothing_known(votes), policy=Policy(Stopping(1, 1)))
    assert set(votes.earners[found.asked].tolist()) == {2}


def test_once_it_is_known_who_tells_most_they_are_asked_before_others() -> None:
    tables = [as_often(0.97)] * 5 + [as_often(0.55)] * 15
    votes, truth = answers(tables, 6, items=400, per_item=20)
    gold = some_of(truth, 0.2, 6)
    found = replay(votes, gold=gold, policy=Policy(Stopping(2, None, 0.99), minimum_trust=0.0))
    asked = np.bincount(votes.earners[found.asked], minlength=20)
    assert asked[:5].mean() > 3 * asked[5:].mean()
    assert right(found.labels, truth) > 0.97
