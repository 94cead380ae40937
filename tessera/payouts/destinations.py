"""Where money can be sent: what an earner must say for each rail."""

import re
import unicodedata
from typing import Any

from tessera.payouts.errors import BadDestination
from tessera.payouts.models import Rail

MAX_HOLDER = 70
"""Characters of a name that an ISO 20022 payment carries."""

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./:,-]{3,139}")


def parse(rail: str, details: dict[str, Any]) -> tuple[Rail, dict[str, str]]:
    """Check a destination and bring it into the form that is stored and exported.

    Args:
        details: For the manual rail, who holds the account, `holder`, and either its `iban`
            or, where there are none, the `account` with what a bank there needs beside it.

    Raises:
        BadDestination: Says which field is wrong, and how.
    """
    if rail != Rail.MANUAL:
        raise BadDestination("There is no such rail.", field="rail")
    fields = {name: value for name, value in details.items() if value is not None}
    if fields.keys() not in ({"holder", "iban"}, {"holder", "account"}):
        raise BadDestination("Give a holder, and either an IBAN or an account.", field="details")
    for name, value in fields.items():
        if not isinstance(value, str):
            raise BadDestination("This must be text.", field=name)
    read = {"holder": _holder, "iban": _iban, "account": _account}
    return Rail.MANUAL, {name: read[name](value) for name, value in sorted(fields.items())}


def is_iban(text: str) -> bool:
    """Whether an IBAN without spaces has the right form and check digits (ISO 13616)."""
    if not _IBAN.fullmatch(text):
        return False
    digits = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return int(digits) % 97 == 1


def _holder(text: str) -> str:
    holder = " ".join(unicodedata.normalize("NFC", text).split())
    if not 0 < len(holder) <= MAX_HOLDER or not holder.isprintable():
        raise BadDestination(
            f"The holder's name must have 1 to {MAX_HOLDER} printable characters.", field="holder"
        )
    return holder


def _iban(text: str) -> str:
    iban = "".join(text.split())
    if not iban.isascii() or not is_iban(iban.upper()):
        raise BadDestination("This is no IBAN: its check digits do not fit.", field="iban")
    return iban.upper()


def _account(text: str) -> str:
    account = " ".join(text.split())
    if not _ACCOUNT.fullmatch(account):
        raise BadDestination(
            "An account has 4 to 140 Latin letters, digits, spaces and . / : , -", field="account"
        )
    return account
