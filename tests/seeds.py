"""Seeds and examples of what is random: a few in each run of the tests, more in the long one."""

from typing import Any

import hypothesis
import pytest

EXAMPLES = 100
"""Of a property, in the long run."""
SHORT = EXAMPLES // 5


def seeds(count: int, *, short: int = 1) -> list[Any]:
    more = (pytest.param(seed, marks=pytest.mark.long) for seed in range(short, count))
    return [*range(short), *more]


def register_profiles() -> None:
    """`short`, which is loaded, and `long`, which pytest's --hypothesis-profile may load."""
    for name, count in (("short", SHORT), ("long", EXAMPLES)):
        hypothesis.settings.register_profile(
            name, deadline=None, derandomize=True, max_examples=count
        )
    hypothesis.settings.load_profile("short")


def examples(count: int) -> int:
    """Of a property that is dearer or cheaper than others: so many in the long run."""
    return max(count * hypothesis.settings().max_examples // EXAMPLES, 2)
