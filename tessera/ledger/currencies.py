"""The currencies that money may be in, by ISO 4217."""

from collections.abc import Mapping
from types import MappingProxyType

MICRO = 1_000_000

_CENTS = (
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "IDR", "ILS", "INR",
    "KES", "MXN", "MYR", "NGN", "NOK", "NZD", "PHP", "PLN", "RON", "SEK", "SGD", "THB", "TRY",
    "TWD", "UAH", "USD", "ZAR",
)  # fmt: skip
_WHOLE = ("CLP", "ISK", "JPY", "KRW", "UGX", "VND", "XAF", "XOF")
_MILS = ("BHD", "JOD", "KWD", "TND")

MINOR_DIGITS: Mapping[str, int] = MappingProxyType(
    {**dict.fromkeys(_CENTS, 2), **dict.fromkeys(_WHOLE, 0), **dict.fromkeys(_MILS, 3)}
)
"""Digits after the point that money of a currency is paid in."""


def minor_micro(currency: str) -> int:
    """Micro-units of the smallest amount that can be paid out: 10,000 for a cent."""
    return MICRO // int(10 ** MINOR_DIGITS[currency])
