from tessera.kernel.errors import Conflict


class NotContestable(Conflict):
    """It is in the earner's favour, or too old, or was contested before."""

    code = "not-contestable"


class NotContested(Conflict):
    """There is no contest that waits for an answer."""

    code = "not-contested"
