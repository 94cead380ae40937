"""Seeds of what is random: a few in each run of the tests, more in the long one."""

from typing import Any

import pytest


def seeds(count: int, *, short: int = 1) -> list[Any]:
    more = (pytest.param(seed, marks=pytest.mark.long) for seed in range(short, count))
    return [*range(short), *more]
