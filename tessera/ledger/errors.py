from tessera.kernel.errors import Conflict, Invalid


class InsufficientFunds(Conflict):
    code = "insufficient-funds"


class ReferenceReused(Conflict):
    """Money already moved for this reason, but not this money."""

    code = "reference-reused"


class AmountTooLarge(Invalid):
    """More than an account can hold: 64 bits of micro-units."""

    code = "amount-too-large"


class UnknownCurrency(Invalid):
    code = "unknown-currency"
