"""The items of a batch, and what pins them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Item:
    """What of a payout decides who gets how much, and where."""

    id: UUID
    earner_id: UUID
    currency: str
    amount_micro: int
    rail: str
    destination: dict[str, Any]


def items_sha256(items: Iterable[Item]) -> str:
    """Hash of the items in canonical form; their order does not matter.

    Returns:
        64 hex digits: SHA-256 of JSON with sorted keys, without spaces, sorted by id.
    """
    plain = [asdict(item) for item in sorted(items, key=lambda item: item.id)]
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
