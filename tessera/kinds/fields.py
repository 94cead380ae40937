"""Reading hostile JSON: each function returns a value of exactly the asked type or raises.

`refuse` is the exception class to raise, called with (path, why).
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress

from tessera.kernel.errors import Invalid

_LARGEST = 2**53
"""Of whole numbers: no float has all that are larger."""
_JOINERS = dict.fromkeys((0x200C, 0x200D))

Refuse = Callable[[str, str], Invalid]


def record(
    value: object,
    at: str,
    refuse: Refuse,
    *,
    required: set[str],
    optional: frozenset[str] = frozenset(),
) -> dict[str, object]:
    """An object with all required and no unknown fields."""
    if not isinstance(value, dict):
        raise refuse(at, "must be an object")
    unknown = sorted(str(key) for key in value if key not in required and key not in optional)
    if unknown:
        raise refuse(at, f"unknown field {unknown[0][:50]!r}")
    missing = sorted(required - value.keys())
    if missing:
        raise refuse(at, f"field {missing[0]!r} is missing")
    return value


def items(value: object, at: str, refuse: Refuse, *, most: int) -> Iterator[tuple[str, object]]:
    """The elements of a list, each with its path."""
    if not isinstance(value, list):
        raise refuse(at, "must be a list")
    if len(value) > most:
        raise refuse(at, f"has {len(value)} elements; at most {most} are allowed")
    return ((f"{at}[{i}]", element) for i, element in enumerate(value))


def whole(value: object, at: str, refuse: Refuse) -> int:
    # bool is a subclass of int: True would otherwise pass for class 1.
    if not isinstance(value, int) or isinstance(value, bool):
        raise refuse(at, "must be a whole number")
    return value


def number(value: object, at: str, refuse: Refuse) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise refuse(at, "must be a number")
    # An int may be too large for a float (OverflowError), a float may be NaN or infinite.
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise refuse(at, "is far too large")
    if not math.isfinite(value):
        raise refuse(at, "must be finite")
    return float(value)


def numbers(value: object, at: str, refuse: Refuse, *, most: int) -> list[float]:
    if isinstance(value, list) and len(value) <= most and {*map(type, value)} <= {int, float}:
        # all at once, if nothing is wrong: files have lists of many
        with suppress(OverflowError):
            if sum(map(abs, value)) <= _LARGEST:
                return [*map(float, value)]
    return [number(each, place, refuse) for place, each in items(value, at, refuse, most=most)]


def text(value: object, at: str, refuse: Refuse, *, most: int = 100) -> str:
    """Printable text without space at either end."""
    if not isinstance(value, str):
        raise refuse(at, "must be text")
    if not value or value != value.strip():
        raise refuse(at, "must not be empty, nor begin or end with space")
    if len(value) > most:
        raise refuse(at, f"is longer than {most} characters")
    # The two joiners are unprintable to Python, but Persian and Indic words need them.
    if not value.translate(_JOINERS).isprintable():
        raise refuse(at, "must be printable characters only")
    return value


def truth(value: object, at: str, refuse: Refuse) -> bool:
    if not isinstance(value, bool):
        raise refuse(at, "must be true or false")
    return value


def distinct(values: Iterable[Hashable], at: str, what: str, refuse: Refuse) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise refuse(at, f"{what} {value!r} is there twice")
        seen.add(value)
