from tessera.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class NothingToLaunch(Conflict):
    code = "nothing-to-launch"


class Blocked(Forbidden):
    """The earner's trust in this project fell below what it asks for."""

    code = "below-minimum-trust"


class Stopped(Forbidden):
    """A person has decided so, with the reason that is told."""

    code = "stopped-by-a-person"


class TrainingNeeded(Conflict):
    """The project gives its tasks to those only who have passed its training."""

    code = "training-needed"


class TrainingNotNeeded(Conflict):
    """The project trains nobody, or this earner has passed."""

    code = "training-not-needed"


class TrainingClosed(Conflict):
    """There is no work for one more, or no money to train them."""

    code = "training-closed"


class TrainingWaits(Conflict):
    """The last attempt has failed; the next one begins later."""

    code = "training-waits"


class TrainingOver(Conflict):
    """The attempt was passed, failed, or took too long."""

    code = "training-over"


class LeaseNotFound(NotFound):
    code = "lease-not-found"


class LeaseExpired(Conflict):
    """It ran out, its grace is over, and its place has gone back."""

    code = "lease-expired"


class LeaseSuperseded(Conflict):
    """The fencing number is not the lease's."""

    code = "lease-superseded"


class LeaseReturned(Conflict):
    code = "lease-returned"


class AlreadyAnswered(Conflict):
    """Another answer was given under this lease before."""

    code = "already-answered"


class AnswersRefused(Conflict):
    """None of several answers could be taken; each says why."""

    code = "answers-refused"


class RepeatedLease(Invalid):
    code = "repeated-lease"
