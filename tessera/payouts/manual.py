"""The manual rail's file: what a person at the bank pays from."""

import csv
import io
from collections.abc import Sequence
from uuid import UUID

from tessera.ledger.currencies import MICRO, MINOR_DIGITS
from tessera.payouts.items import Item

COLUMNS = (
    "batch_id", "item_id", "earner_ref", "holder", "iban", "account", "net", "currency", "rail",
    "reference",
)  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and full-width twins
_CONTROL = ("\t", "\r", "\n")


def to_csv(batch_id: UUID, items: Sequence[Item]) -> bytes:
    """One line for each item in the order of their ids, then one with their number and total.

    UTF-8, comma-separated, CRLF (RFC 4180). `reference` is what the bank is to quote: the item's
    id without dashes, which fits the 35 characters of a payment's end-to-end id. The same items
    give the same bytes.
    """
    text = io.StringIO()
    lines = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    lines.writeheader()
    for item in sorted(items, key=lambda item: item.id):
        lines.writerow({name: harmless(cell) for name, cell in _cells(batch_id, item).items()})
    total = sum(item.amount_micro for item in items)
    lines.writerow(
        {
            "batch_id": "total",
            "item_id": len(items),
            "net": decimal(total, items[0].currency),
            "currency": items[0].currency,
        }
    )
    return text.getvalue().encode()


def decimal(amount_micro: int, currency: str) -> str:
    """An amount as banks write it: `12.34`, or `1234` where the currency has no smaller unit.

    Raises:
        ValueError: It is negative, or not a whole number of minor units.
    """
    digits = MINOR_DIGITS[currency]
    minor, rest = divmod(amount_micro * 10**digits, MICRO)
    if amount_micro < 0 or rest:
        raise ValueError("not payable")
    whole, fraction = divmod(minor, 10**digits)
    return f"{whole}.{fraction:0{digits}}" if digits else str(whole)


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    risky = cell.startswith(_CONTROL) or cell.lstrip().startswith(_FORMULA)
    return f"'{cell}" if risky else cell


def _cells(batch_id: UUID, item: Item) -> dict[str, str]:
    return {
        "batch_id": str(batch_id),
        "item_id": str(item.id),
        "earner_ref": str(item.earner_id),
        **item.destination,
        "net": decimal(item.amount_micro, item.currency),
        "currency": item.currency,
        "rail": item.rail,
        "reference": item.id.hex,
    }
