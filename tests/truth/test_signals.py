"""Cheats are found among honest people of many kinds, and those are left alone."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.adversaries import HONEST, Project, Setting, cheats, honest, project
from tessera.truth.cheating import Log, company, find
from tessera.truth.clicks import always_the_same, by_chance
from tessera.truth.linkage import Key, linked
from tessera.truth.signals import Finding, Kind
from tessera.truth.tempo import longest_stretch, mechanical, residuals, too_fast
from tessera.truth.votes import UNKNOWN, Floats, Votes
from tests.seeds import seeds
from tests.truth.crowd import any_votes, votes_of

SMALL = Setting(items=1_200)
"""With sixty honest earners it is as many answers each as in the bench."""


@cache
def made(kind: str, count: int, seed: int) -> tuple[Project, dict[Kind, Finding]]:
    people = honest(60, seed) + cheats(kind, count, seed)
    with_them = project(people, seed, SMALL)
    return with_them, {each.kind: each for each in find(with_them.log)}


def nothing_known(votes: Votes) -> Log:
    return Log(votes, np.full(votes.n_items, UNKNOWN))


@pytest.mark.parametrize("seed", seeds(5))
@pytest.mark.parametrize(
    ("kind", "count", "signal"),
    [
        ("clicker", 6, Kind.RANDOM),
        ("constant", 6, Kind.CONSTANT),
        ("fast", 6, Kind.FAST),
        ("ring", 2, Kind.RING),
        ("ring", 6, Kind.RING),
        ("ring", 20, Kind.RING),
        ("scheduled", 6, Kind.MECHANICAL),
        ("slacker", 6, Kind.FALLING),
        ("farm", 20, Kind.LINKED),
    ],
)
def test_most_are_found_and_hardly_anybody_else(
    kind: str, count: int, signal: Kind, seed: int
) -> None:
    with_them, found = made(kind, count, seed)
    told = found[signal].told
    assert told[with_them.of(kind)].mean() > 0.65
    assert told[with_them.of(*HONEST)].sum() <= 1


@pytest.mark.parametrize("seed", seeds(5))
def test_honest_people_of_every_kind_are_left_alone(seed: int) -> None:
    _, found = made("clicker", 0, seed)
    assert np.sum([each.told.sum() for each in found.values()]) <= 1


@pytest.mark.parametrize("seed", seeds(5))
def test_a_fast_expert_is_not_accused_and_a_fast_clicker_is(seed: int) -> None:
    with_them, found = made("fast", 6, seed)
    fast = found[Kind.FAST].strength
    assert fast[with_them.of("expert")].max() < 1
    assert np.median(fast[with_them.of("fast")]) > 2.5


def test_experts_who_agree_on_all_that_is_easy_are_no_ring() -> None:
    everybody = [replace(person, skill=0.98) for person in honest(30, 1)]
    easy = project(everybody, 1, Setting(items=600, per_item=10, ambiguous=0.0))
    found, _ = company(easy.log)
    assert not found


def test_people_who_see_the_same_ambiguous_images_alike_are_no_ring() -> None:
    hazy = project(honest(40, 2), 2, Setting(items=600, per_item=10, ambiguous=0.6))
    found, _ = company(hazy.log)
    assert not found


def test_a_ring_that_outvotes_the_honest_is_the_ring_not_they() -> None:
    people = honest(20, 3) + cheats("ring", 10, 3)
    setting = Setting(items=500, per_item=6, ring_places=4)
    captured = project(people, 3, setting)
    found, _ = company(captured.log)
    members = {int(member) for ring in found for member in ring.members}
    assert members >= set(captured.of("ring").tolist())
    assert len(members) <= 11


def test_whoever_says_what_is_frequent_is_not_constant() -> None:
    """Nine in ten items are of one class, and honest people say so."""
    rare = project(honest(40, 4, 2), 4, Setting(items=800, prior=(0.93, 0.07)))
    _, seen = company(rare.log)
    assert not always_the_same(seen).told.any()
    assert not by_chance(seen).told.any()


def test_nothing_is_said_of_a_newcomer_by_their_answers() -> None:
    for kind in ("clicker", "slacker", "ring"):
        with_them, found = made(kind, 6, 0)
        for each in found.values():
            assert not each.told[with_them.of("newcomer")].any()


def test_sentences_count_no_gold() -> None:
    """What an earner says of gold changes what is thought, and nothing of what they are told."""
    with_them, found = made("clicker", 6, 0)
    log = with_them.log
    gold = np.flatnonzero(log.known[log.votes.items] != UNKNOWN)
    earner = int(with_them.of("clicker")[0])
    mine = gold[log.votes.earners[gold] == earner]
    _, seen = company(log)
    turned = replace(
        seen, agree=seen.agree.copy(), agree_usual=seen.agree_usual.copy(), usual=seen.usual.copy()
    )
    for values in (turned.agree, turned.agree_usual, turned.usual):
        values[mine] = 0.5
    assert by_chance(turned).words(earner) == by_chance(seen).words(earner)
    assert found[Kind.RANDOM].told[earner]


def test_sentences_name_nothing_that_can_be_looked_up() -> None:
    for kind in ("clicker", "ring", "slacker", "farm", "fast"):
        with_them, found = made(kind, 6 if kind != "farm" else 20, 0)
        for each in found.values():
            for earner in with_them.of(kind):
                if each.told[earner]:
                    assert not any(
                        word in each.words(int(earner)).lower()
                        for word in ("gold", "check task", "cheat", "fraud", "ban")
                    )


@given(any_votes(), st.data())
def test_any_answers_are_compared(votes: Votes, data: st.DataObject) -> None:
    one = st.integers(UNKNOWN, votes.n_classes - 1)
    known = data.draw(st.lists(one, min_size=votes.n_items, max_size=votes.n_items))
    seconds = data.draw(st.lists(st.floats(0.1, 100), min_size=len(votes), max_size=len(votes)))
    at = np.arange(len(votes), dtype=np.float64)
    for each in find(Log(votes, np.array(known), np.array(seconds), at)):
        assert each.strength.shape == (votes.n_earners,)
        assert np.isfinite(each.strength).all()
        assert (each.strength >= 0).all()
        assert not each.told.any()  # forty answers are too few for anything
        assert all(each.words(earner) for earner in range(votes.n_earners))


@pytest.mark.parametrize("seed", seeds(3))
def test_it_does_not_matter_how_earners_and_items_are_numbered(seed: int) -> None:
    with_them, found = made("clicker", 6, seed)
    log, dice = with_them.log, np.random.default_rng(seed)
    items, earners = (dice.permutation(n) for n in (log.votes.n_items, log.votes.n_earners))
    votes = replace(log.votes, items=items[log.votes.items], earners=earners[log.votes.earners])
    known = np.empty_like(log.known)
    known[items] = log.known
    for each in find(Log(votes, known, log.seconds, log.at)):
        assert each.strength[earners] == pytest.approx(found[each.kind].strength, abs=1e-6)


def test_nothing_comes_of_no_answers_and_of_one_earner_alone() -> None:
    nobody = votes_of([], items=3, earners=2)
    alone = votes_of([(item, 0, item % 2) for item in range(200)])
    for votes in (nobody, alone):
        for each in find(nothing_known(votes)):
            assert not each.strength.any()


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_impossible_times_are_refused(bad: float) -> None:
    votes = votes_of([(0, 0, 0), (1, 0, 1)])
    with pytest.raises(ValueError, match="above zero"):
        residuals(votes, np.array([1.0, bad]))
    with pytest.raises(ValueError, match="each answer"):
        residuals(votes, np.array([1.0]))


def test_bad_logs_are_refused() -> None:
    votes = votes_of([(0, 0, 0), (1, 0, 1)])
    known = np.full(2, UNKNOWN)
    with pytest.raises(ValueError, match="order of time"):
        Log(votes, known, at=np.array([2.0, 1.0]))
    with pytest.raises(ValueError, match="order of time"):
        Log(votes, known, at=np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="at must"):
        Log(votes, known, at=np.array([1.0]))
    with pytest.raises(ValueError, match="known"):
        Log(votes, known[:1])
    with pytest.raises(ValueError, match="sizes"):
        Log(votes, known, sizes=np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="twice"):
        Log(votes_of([(0, 0, 0), (0, 0, 1)]), known[:1])


def test_times_are_compared_among_tasks_of_one_size() -> None:
    votes = votes_of([(item, item % 3, 0) for item in range(60)])
    sizes = np.arange(60) // 30
    seconds = np.where(sizes == 0, 3.0, 60.0)
    assert residuals(votes, seconds, sizes) == pytest.approx(np.zeros(60))
    assert np.abs(residuals(votes, seconds)).max() > 1


def test_a_stretch_ends_with_a_pause_that_may_be_sleep() -> None:
    votes = votes_of([(item, 0, 0) for item in range(6)] + [(0, 1, 0)])
    hours = np.array([0, 2, 4, 6, 14, 15, 3.0])
    assert longest_stretch(votes, hours * 3600) == pytest.approx([6.0, 0.0])


def times(spread: float, earners: int, each: int) -> tuple[Votes, Floats]:
    dice = np.random.default_rng(5)
    item, earner = (part.ravel() for part in np.indices((each, earners)))
    votes = Votes(item, earner, np.zeros(each * earners, dtype=np.int64), each, earners, 2)
    own = np.where(earner == 0, spread, 0.45)
    return votes, np.exp(2 + own * dice.standard_normal(each * earners))


@pytest.mark.parametrize(("spread", "told"), [(0.0, True), (0.1, True), (0.3, False), (0.9, False)])
def test_only_times_steadier_than_people_have_are_told_of(spread: float, told: bool) -> None:  # noqa: FBT001
    votes, seconds = times(spread, 30, 80)
    found = mechanical(votes, residuals(votes, seconds))
    assert bool(found.told[0]) is told
    assert not found.told[1:].any()


def test_speed_alone_is_nothing() -> None:
    with_them, _ = made("fast", 6, 0)
    log = with_them.log
    assert log.seconds is not None
    _, seen = company(log)
    hasty = np.where(np.isin(log.votes.earners, with_them.of("usual")[:5]), 0.1, 1.0)
    found = too_fast(seen, residuals(log.votes, log.seconds * hasty))
    assert not found.told[with_them.of("usual")[:5]].any()


def test_accounts_are_linked_by_equal_keys_only() -> None:
    found = linked({Key.PAYOUT: ["a", "a", "b", None, None], Key.DEVICE: [7, 7, 7, 8, None]}, 5)
    assert found.kind is Kind.LINKED
    assert found.strength.tolist() == [2.5, 2.5, 1.0, 0.0, 0.0]
    assert found.words(0) == (
        "This account is paid to the same destination as one other account in this project."
    )
    with pytest.raises(ValueError, match="one key for each"):
        linked({Key.PAYOUT: ["a"]}, 2)
