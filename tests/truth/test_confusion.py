from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma, logsumexp

from tessera.truth import confusion
from tessera.truth.confusion import (
    COMMON,
    GOLD_FOR_HALF,
    PERSONAL,
    believe,
    estimate,
    learn,
    while_asked,
)
from tessera.truth.votes import UNKNOWN, Floats, Indices, Votes
from tests.formats import memory
from tests.seeds import seeds
from tests.truth.crowd import answers, any_truth, any_votes, as_often, some_of, votes_of

FEW = 4
"""Rounds after which figures are compared to nine digits: on a few answers that say nothing either
way, each round would double the last digit's noise."""
LEANING = np.array([[1.0, 0.0], [0.62, 0.38]])
BLIND_TO_THE_THIRD = np.array([[0.95, 0.03, 0.02], [0.1, 0.88, 0.02], [0.65, 0.05, 0.30]])

_AT_SCALE = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
import numpy as np
from tessera.truth.confusion import estimate
from tessera.truth.votes import Votes
dice = np.random.default_rng(1)
truth = dice.integers(0, 2, 200_000)
item = np.repeat(np.arange(200_000), 3)
label = np.where(dice.random(len(item)) < 0.8, truth[item], 1 - truth[item])
votes = Votes(item, dice.integers(0, 5_000, len(item)), label, 200_000, 5_000, 2)
print(float((estimate(votes, rounds=3).labels == truth).mean()))
"""


def by_hand(votes: Votes, known: Indices, strength: Floats) -> Floats:
    """One round, answer by answer: Bayes with matrices learnt from what the majority says."""
    classes = range(votes.n_classes)
    said = list(zip(votes.items, votes.earners, votes.labels, strict=True))
    believed = np.zeros((votes.n_items, votes.n_classes))
    for item in range(votes.n_items):
        shares = [0.5 + sum(i == item and label == k for i, _, label in said) for k in classes]
        for k in classes:
            believed[item, k] = shares[k] / sum(shares)
            if known[item] != UNKNOWN:
                believed[item, k] = float(known[item] == k)
    counts = np.zeros((votes.n_earners, votes.n_classes, votes.n_classes))
    for (item, earner, label), k in product(said, classes):
        counts[earner, k, label] += believed[item, k]
    frequent = [1 + sum(believed[i, k] for i in {each[0] for each in said}) for k in classes]
    common = np.zeros((votes.n_classes, votes.n_classes))
    for k in classes:
        before = [1.4 if k == label else 0.6 / max(votes.n_classes - 1, 1) for label in classes]
        row = [before[label] + sum(each[k, label] for each in counts) for label in classes]
        common[k] = 0.98 * np.array(row) / sum(row) + 0.02 / len(row)  # anybody slips
    log_posterior = np.zeros((votes.n_items, votes.n_classes))
    for item, k in product(range(votes.n_items), classes):
        log_posterior[item, k] = np.log(frequent[k] / sum(frequent))
        for _, earner, label in (each for each in said if each[0] == item):
            weights = counts[earner, k] + strength[earner] * common[k]
            if known[item] == k:
                weights[label] -= 1
            log_posterior[item, k] += digamma(weights[label]) - digamma(weights.sum())
    unanswered = [item for item in range(votes.n_items) if item not in {each[0] for each in said}]
    log_posterior[unanswered] = np.log(np.array(frequent) / sum(frequent))
    normal: Floats = log_posterior - logsumexp(log_posterior, axis=1, keepdims=True)
    return normal


def right(labels: Indices, truth: Indices) -> float:
    return float((labels == truth).mean())


@given(st.data())
def test_one_round_is_bayes_written_out_answer_by_answer(data: st.DataObject) -> None:
    votes = data.draw(any_votes())
    known = data.draw(any_truth(votes))
    one = st.floats(0.5, 50)
    strength = np.array(
        data.draw(st.lists(one, min_size=votes.n_earners, max_size=votes.n_earners))
    )
    found = estimate(votes, known=known, strength=strength, rounds=1)
    assert found.rounds == 1
    np.testing.assert_allclose(found.log_posterior, by_hand(votes, known, strength), atol=1e-9)


@given(any_votes(), st.integers(0, 1_000))
def test_the_order_of_answers_does_not_matter(votes: Votes, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(votes))
    first, second = estimate(votes, rounds=FEW), estimate(votes.only(order), rounds=FEW)
    np.testing.assert_allclose(first.log_posterior, second.log_posterior, atol=1e-9)


@given(st.data(), st.integers(0, 1_000))
def test_numbering_of_items_earners_and_classes_does_not_matter(
    data: st.DataObject, seed: int
) -> None:
    votes = data.draw(any_votes())
    known = data.draw(any_truth(votes))
    dice = np.random.default_rng(seed)
    item, earner, label = map(dice.permutation, (votes.n_items, votes.n_earners, votes.n_classes))
    sizes = votes.n_items, votes.n_earners, votes.n_classes
    other = Votes(item[votes.items], earner[votes.earners], label[votes.labels], *sizes)
    known_there = np.full(votes.n_items, UNKNOWN)
    known_there[item] = np.where(known == UNKNOWN, UNKNOWN, label[known])
    here = estimate(votes, known=known, rounds=FEW)
    there = estimate(other, known=known_there, rounds=FEW)
    np.testing.assert_allclose(
        there.log_posterior[np.ix_(item, label)], here.log_posterior, atol=1e-9
    )
    information = there.crowd.information()[earner]
    np.testing.assert_allclose(information, here.crowd.information(), atol=1e-9)


@given(st.data())
def test_what_is_told_are_probabilities(data: st.DataObject) -> None:
    votes = data.draw(any_votes())
    found = estimate(votes, known=data.draw(any_truth(votes)))
    np.testing.assert_allclose(np.exp(found.log_posterior).sum(axis=1), 1)
    assert (found.sure >= 1 / votes.n_classes - 1e-12).all()
    assert found.crowd.prior.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.crowd.common.sum(axis=1), 1)
    np.testing.assert_allclose(
        found.crowd.seen, np.bincount(votes.earners, minlength=len(found.crowd.seen))
    )
    assert (found.crowd.right <= found.crowd.seen + 1e-9).all()


@pytest.mark.parametrize("seed", seeds(5))
def test_of_a_crowd_half_of_which_leans_to_one_class_more_is_told_than_by_majority(
    seed: int,
) -> None:
    votes, truth = answers([LEANING] * 10 + [as_often(0.75)] * 10, seed, items=400, per_item=7)
    assert right(estimate(votes).labels, truth) > right(votes.tally.argmax(1), truth) + 0.08


@pytest.mark.parametrize("seed", seeds(5))
def test_who_says_anything_hardly_moves_anything(seed: int) -> None:
    votes, _ = answers([as_often(0.85, 3)] * 12, seed, items=300)
    dice = np.random.default_rng([seed, 3])
    spammed = Votes(
        np.r_[votes.items, np.arange(300)],
        np.r_[votes.earners, np.full(300, 12)],
        np.r_[votes.labels, dice.integers(0, 3, 300)],
        300,
        13,
        3,
    )
    before, after = estimate(votes), estimate(spammed)
    moved = np.abs(np.exp(before.log_posterior) - np.exp(after.log_posterior)).max(axis=1)
    assert moved.mean() < 0.005
    assert right(after.labels, before.labels) > 0.99
    tells = after.crowd.information()
    assert tells[12] < tells[:12].min() / 10


@pytest.mark.parametrize("seed", seeds(5))
def test_gold_teaches_what_the_majority_does_not_see(seed: int) -> None:
    votes, truth = answers([BLIND_TO_THE_THIRD] * 20, seed, items=600)
    gold = some_of(truth, 0.2, seed)
    third = (truth == 2) & (gold == UNKNOWN)
    alone, told = estimate(votes).labels, estimate(votes, known=gold).labels
    assert right(votes.tally.argmax(1)[third], truth[third]) < 0.2
    assert right(told[third], truth[third]) > 0.55
    assert right(told[third], truth[third]) > right(alone[third], truth[third])


def test_of_gold_that_everybody_calls_something_else_it_is_told_what_they_call_it() -> None:
    votes, _ = answers([as_often(0.9, 3)] * 8, 5, items=60, per_item=8)
    everybody = Votes(
        np.r_[votes.items, np.full(8, 60)],
        np.r_[votes.earners, np.arange(8)],
        np.r_[votes.labels, np.full(8, 2)],
        61,
        8,
        3,
    )
    for gold in (0, 1):
        found = estimate(everybody, known=np.r_[np.full(60, UNKNOWN), gold])
        assert found.labels[60] == 2
        assert found.sure[60] > 0.99


def test_what_is_said_of_gold_teaches_nothing_of_that_gold() -> None:
    """Whoever has answered nothing else is, to that item, as if they had never answered."""
    one = votes_of([(0, earner, 1) for earner in range(5)], classes=2)
    posterior = np.array([[0.5, 0.5]])
    told = {}
    for truth in (0, 1):
        known = np.array([truth])
        crowd = learn(one, posterior, known=known)
        assert crowd.counts is not None
        assert crowd.counts[:, truth, 1].tolist() == [1.0] * 5
        told[truth] = believe(one, crowd, known=known, strength=PERSONAL) - np.log(crowd.prior)
        weights = PERSONAL * (0.98 * crowd.common + 0.02 / 2)
        odds = digamma(weights[1, 1]) - digamma(weights[0, 1])
        assert told[truth][0, 1] - told[truth][0, 0] == pytest.approx(5 * odds)


def test_items_that_nobody_has_answered_are_as_frequent_as_all() -> None:
    said = [(item, earner, int(item > 6)) for item in range(10) for earner in range(3)]
    found = estimate(votes_of(said, items=12))
    np.testing.assert_allclose(np.exp(found.log_posterior[10:]), [found.crowd.prior] * 2)
    assert found.crowd.prior == pytest.approx([8 / 12, 4 / 12], abs=0.02)


def test_of_no_answers_every_class_is_as_probable() -> None:
    found = estimate(votes_of([], items=2, earners=1, classes=4))
    np.testing.assert_allclose(found.sure, 0.25)
    assert found.labels.tolist() == [0, 0]


def test_a_question_with_one_choice_has_one_answer() -> None:
    found = estimate(votes_of([(0, 0, 0), (0, 1, 0)], classes=1))
    assert (found.labels.tolist(), found.sure.tolist()) == ([0], [1.0])


@pytest.mark.parametrize("seed", seeds(5))
def test_without_matrices_it_is_told_as_well_who_is_good(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes, truth = answers(
        [as_often(0.9, 3)] * 15 + [as_often(1 / 3, 3)] * 15, seed, items=400, per_item=7
    )
    full = estimate(votes)
    monkeypatch.setattr(confusion, "MOST_CELLS", 30 * 9 - 1)
    coins = estimate(votes)
    assert coins.crowd.counts is None
    for tells in (full.crowd.information(), coins.crowd.information()):
        assert tells[:15].min() > tells[15:].max()
    assert abs(right(coins.labels, truth) - right(full.labels, truth)) < 0.015
    assert right(coins.labels, truth) > right(votes.tally.argmax(1), truth) + 0.05
    with pytest.raises(ValueError, match="no matrices"):
        coins.crowd.weights(PERSONAL)


@given(st.data())
def test_without_matrices_gold_leaves_its_own_answers_out_too(data: st.DataObject) -> None:
    """Told with and without what they said of it in what is known of them."""
    votes = data.draw(any_votes())
    known = data.draw(any_truth(votes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confusion, "MOST_CELLS", -1)
        crowd = learn(
            votes, np.full((votes.n_items, votes.n_classes), 1 / votes.n_classes), known=known
        )
        found = np.exp(believe(votes, crowd, known=known))
    usual = crowd.common[0, 0]
    for item in range(votes.n_items):
        odds = np.log(crowd.prior)
        for earner, label in zip(
            votes.earners[votes.items == item], votes.labels[votes.items == item], strict=True
        ):
            own, hit = known[item] != UNKNOWN, known[item] == label
            good = max(crowd.right[earner] - hit + PERSONAL * usual, 1e-3)
            bad = crowd.seen[earner] - crowd.right[earner] - (own and not hit)
            bad = max(bad + PERSONAL * (1 - usual), 1e-3)
            odds[label] += digamma(good) - digamma(bad) + np.log(max(votes.n_classes - 1, 1))
        np.testing.assert_allclose(found[item], np.exp(odds - logsumexp(odds)), atol=1e-9)


@pytest.mark.parametrize("seed", seeds(3, short=3))
def test_who_goes_on_from_fewer_answers_arrives_at_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confusion, "SETTLED", 1e-12)
    votes, _ = answers([as_often(0.85, 3)] * 15, seed)
    before = estimate(votes.only(np.arange(900)), rounds=500)
    anew, further = estimate(votes, rounds=500), estimate(votes, start=before, rounds=500)
    np.testing.assert_allclose(np.exp(further.log_posterior), np.exp(anew.log_posterior), atol=1e-6)


def test_what_is_settled_takes_one_round_more() -> None:
    votes, _ = answers([as_often(0.9, 3)] * 15, 1)
    found = estimate(votes, rounds=50)
    assert 1 < found.rounds < 50
    assert estimate(votes, start=found).rounds == 1
    assert estimate(votes, rounds=2).rounds == 2


def test_the_crowd_counts_less_the_more_gold_somebody_has_answered() -> None:
    told = while_asked(np.array([0, 1, GOLD_FOR_HALF, 50, 1e9]))
    assert told[0] == COMMON
    assert told[2] == pytest.approx((COMMON + PERSONAL) / 2)
    assert told[4] == pytest.approx(PERSONAL)
    assert (np.diff(told) < 0).all()


def test_a_crowd_that_counts_for_much_makes_everybody_alike() -> None:
    votes, _ = answers([as_often(0.95)] * 5 + [as_often(0.5)] * 5, 2)
    crowd = estimate(votes).crowd
    apart = [np.ptp(crowd.information(strength)) for strength in (1.0, 20.0, 1e6)]
    assert apart[0] > apart[1] > 100 * apart[2]


def test_many_items_and_earners_fit_into_a_gigabyte() -> None:
    """A table of items by earners would be one of bytes alone."""
    (told,), _ = memory.of(_AT_SCALE)
    assert float(told) > 0.85
