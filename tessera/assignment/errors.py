from tessera.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class NothingToLaunch(Conflict):
    code = "nothing-to-launch"


class Blocked(Forbidden):
    """The earner's trust in this project fell below what it asks for."""

    code = "below-minimum-trust"


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
