from tessera.kernel.errors import Conflict, Forbidden, Invalid


class BadDestination(Invalid):
    """Money could not be sent there."""

    code = "invalid-destination"


class NoDestination(Conflict):
    """The earner has not said where to be paid."""

    code = "no-destination"


class BelowMinimum(Conflict):
    code = "below-minimum"


class NotPayable(Invalid):
    """Not a whole number of the currency's smallest unit."""

    code = "not-payable"


class NothingToPay(Conflict):
    code = "nothing-to-pay"


class WrongState(Conflict):
    code = "wrong-state"


class OwnBatch(Forbidden):
    """Who made or changed a batch cannot be who approves it."""

    code = "own-batch"


class BatchChanged(Conflict):
    """Its items are not those that were approved, or looked at."""

    code = "batch-changed"
