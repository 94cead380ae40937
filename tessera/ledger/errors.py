from tessera.kernel.errors import Conflict, Forbidden, Invalid


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


class BadReference(Invalid):
    code = "invalid-reference"


class OwnDeposit(Forbidden):
    """Who recorded a deposit cannot be who takes it back."""

    code = "own-deposit"


class AlreadyReversed(Conflict):
    """Nothing, or not so much, is left of the deposit."""

    code = "already-reversed"
