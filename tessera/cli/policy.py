"""A quality policy in a file of YAML, for replays; and what it costs, and whom it stops."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tessera.kernel.errors import Invalid
from tessera.quality.gate import Stopped
from tessera.quality.replay import Policy
from tessera.quality.trust import MINIMUM_TRUST, explain
from tessera.truth.stopping import USUAL_MOST, USUAL_TARGET, Stopping, target_of

GOLD_SHARE = 0.1
_MOST_STOPPED = 1_000


class BadPolicy(Invalid):
    code: ClassVar[str] = "bad-policy"


class _Loader(yaml.SafeLoader):
    """Merges no mappings: a few lines of merges would take all memory and time."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave `<<` as it is, which is then refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a policy file says; all of it may be left out."""

    gold_share: float = GOLD_SHARE
    """Share of the items with truth that are gold: known to the engine, and not scored."""
    min_overlap: int = 2
    max_overlap: int | None = USUAL_MOST
    target_confidence: float | None = None
    minimum_trust: float = MINIMUM_TRUST
    price_micro: int | None = None
    """Of one answer, with the fee."""
    wrong_label_micro: int | None = None
    """What a wrong label costs; in place of a target confidence."""

    @property
    def target(self) -> float:
        if self.target_confidence is not None:
            return self.target_confidence
        if self.price_micro is not None and self.wrong_label_micro is not None:
            return target_of(price=self.price_micro, wrong_label=self.wrong_label_micro)
        return USUAL_TARGET

    @property
    def policy(self) -> Policy:
        return Policy(Stopping(self.min_overlap, self.max_overlap, self.target), self.minimum_trust)


def _number(low: float, high: float) -> Callable[[object], str | None]:
    return _within(float | int, "a number", low, high)


def _whole(low: int, high: int) -> Callable[[object], str | None]:
    return _within(int, "a whole number", low, high)


def _within(of: Any, called: str, low: float, high: float) -> Callable[[object], str | None]:
    """Says what is wrong with a value, if something is."""

    def wrong(value: object) -> str | None:
        fits = isinstance(value, of) and not isinstance(value, bool) and low <= value <= high
        return None if fits else f"must be {called} from {low:g} to {high:g}"

    return wrong


_FIELDS: Mapping[str, Callable[[object], str | None]] = {
    "gold_share": _number(0, 0.5),
    "min_overlap": _whole(1, 1_000),
    "max_overlap": lambda value: None if value is None else _whole(1, 1_000)(value),
    "target_confidence": _number(0.5, 1),
    "minimum_trust": _number(0, 1),
    "price_micro": _whole(1, 10**12),
    "wrong_label_micro": _whole(1, 10**15),
}

_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)
"""What comes of reading it: of a date that is none, of `!!int x`, of brackets without end."""


def policy_of(path: Path) -> Asked:
    """Read a policy.

    Raises:
        BadPolicy: Says what of it cannot be.
        OSError: The file cannot be read.
    """
    try:
        said = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)  # noqa: S506 - it is safe
    except _NOT_YAML as error:
        why = (str(error).splitlines() or [""])[0][:200]
        raise BadPolicy(f"is not YAML: {why}", file=path.name) from error
    if said is None:
        said = {}
    if not isinstance(said, dict):
        raise BadPolicy("must be names and values, one to a line", file=path.name)
    refused = _why_not(said)
    if refused is not None:
        raise BadPolicy(refused, file=path.name)
    return Asked(**said)


def _why_not(said: Mapping[Any, Any]) -> str | None:
    for name, value in said.items():
        if name not in _FIELDS:
            return f"{str(name)[:50]!r} is not one of {', '.join(_FIELDS)}"
        wrong = _FIELDS[name](value)
        if wrong is not None:
            return f"{name} {wrong}"
    asked = Asked(**said)
    if asked.target_confidence is not None and asked.wrong_label_micro is not None:
        return "target_confidence and wrong_label_micro say the same: give one of them"
    if asked.wrong_label_micro is not None and asked.price_micro is None:
        return "wrong_label_micro is compared with price_micro: give it, too"
    if asked.max_overlap is not None and asked.min_overlap > asked.max_overlap:
        return "min_overlap is above max_overlap"
    return None


def spent(asked: Asked, used: int, total: int) -> dict[str, int | None]:
    """What the answers asked for cost, and what the others would have; None without a price."""
    price = asked.price_micro
    return {
        "cost_micro": None if price is None else used * price,
        "saved_micro": None if price is None else (total - used) * price,
    }


def told_of(stopped: Mapping[str, Stopped]) -> list[dict[str, Any]]:
    """Of earners who were stopped, by name, why; of very many the first."""
    return [
        {
            "worker": earner,
            "gold": trust.seen,
            "missed": trust.missed,
            "reason": explain(trust, minimum_trust=minimum),
        }
        for earner, (trust, minimum) in sorted(stopped.items())[:_MOST_STOPPED]
    ]
