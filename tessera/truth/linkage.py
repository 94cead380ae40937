"""Accounts that share a payout destination or a device.

Keys are opaque and only compared for being equal. An address on the internet is no key: a family, a
school and half a mobile network have one. Groups are not joined through others: who shares a device
with somebody who shares a payout with a third is not linked to the third.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from enum import StrEnum

import numpy as np

from tessera.truth.signals import Finding, Kind


class Key(StrEnum):
    PAYOUT = "payout"
    DEVICE = "device"


STRENGTH = {
    Key.PAYOUT: ((2, 2.5), (5, 4.0), (10, 6.0)),
    Key.DEVICE: ((3, 1.0), (5, 2.5), (10, 4.0)),
}
"""By how many accounts at least share one. A couple may be paid to one account, and three of a
household may use one phone: the first is asked about, the second is nothing. Set by judgement."""
NAMED = {Key.PAYOUT: "is paid to the same destination as", Key.DEVICE: "uses the same device as"}


def linked(keys: Mapping[Key, Sequence[Hashable | None]], n_earners: int) -> Finding:
    """Who shares one with how many.

    Args:
        keys: Of each kind one for each earner, None where there is none.

    Raises:
        ValueError: There are more or fewer than earners.
    """
    best = np.zeros(n_earners)
    words = [""] * n_earners
    for kind, mine in keys.items():
        if len(mine) != n_earners:
            raise ValueError(f"{kind}: one key for each earner")
        often = Counter(key for key in mine if key is not None)
        for earner, key in enumerate(mine):
            accounts = often[key] if key is not None else 0
            strength = max((s for least, s in STRENGTH[kind] if accounts >= least), default=0.0)
            if strength > best[earner]:
                others = "one other account" if accounts == 2 else f"{accounts - 1} other accounts"  # noqa: PLR2004
                best[earner] = strength
                words[earner] = f"This account {NAMED[kind]} {others} in this project."
    return Finding(Kind.LINKED, best, words.__getitem__)
