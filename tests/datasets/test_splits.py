"""Images divided into train, val and test."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tessera.datasets.splits import Shares, Splitter
from tessera.formats.protocol import Split
from tessera.formats.records import LabelledImage, LabelledObject

SHARES = Shares(80, 15, 5, seed=3)


def image(number: int, *classes: int) -> LabelledImage:
    objects = [LabelledObject(each, {}, {}, 1.0, "gold", [0], crowd=False) for each in classes]
    return LabelledImage(number, "", "", 1, 1, f"{number:064x}", objects, [])


def test_every_split_gets_about_its_share() -> None:
    splitter = Splitter(SHARES)
    there = Counter(splitter.of(image(i)) for i in range(10_000))
    for split, share in ((Split.TRAIN, 80), (Split.VAL, 15), (Split.TEST, 5)):
        assert abs(there[split] / 100 - share) < 1.5, "four standard errors"


@given(st.lists(st.integers(0, 10**9), unique=True, max_size=50))
def test_an_image_is_in_the_same_split_whatever_else_a_version_holds(
    numbers: list[int],
) -> None:
    splitter = Splitter(SHARES)
    alone = {number: Splitter(SHARES).of(image(number)) for number in numbers}
    assert {number: splitter.of(image(number)) for number in reversed(numbers)} == alone


def test_another_seed_divides_in_another_way() -> None:
    some = [image(i) for i in range(200)]
    one, other = Splitter(SHARES), Splitter(Shares(80, 15, 5, seed=4))
    assert [one.of(each) for each in some] != [other.of(each) for each in some]


def test_a_rare_class_has_its_share_in_every_split_if_stratified() -> None:
    splitter = Splitter(Shares(50, 25, 25, seed=1, stratified=True))
    rare: Counter[Split] = Counter()
    for i in range(10_000):
        with_it = i % 50 == 0
        split = splitter.of(image(i, 1, 2) if with_it else image(i, 1))
        rare[split] += with_it
    for split, exact in ((Split.TRAIN, 100), (Split.VAL, 50), (Split.TEST, 50)):
        assert abs(rare[split] - exact) <= 1, "the very first may count for the other class"


def test_stratified_splits_can_be_repeated() -> None:
    shares = Shares(60, 20, 20, seed=9, stratified=True)
    some = [image(i, *({i % 3 + 1} if i % 7 else ())) for i in range(500)]
    one, other = Splitter(shares), Splitter(shares)
    assert [one.of(each) for each in some] == [other.of(each) for each in some]


def test_a_split_without_a_share_is_none() -> None:
    assert Shares(90, 10, 0).splits == (Split.TRAIN, Split.VAL)
    splitter = Splitter(Shares(90, 10, 0))
    assert {splitter.of(image(i)) for i in range(500)} == {Split.TRAIN, Split.VAL}
