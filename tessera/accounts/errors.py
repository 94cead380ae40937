from tessera.kernel.errors import Conflict, Forbidden, Invalid, Unauthenticated


class BadCredentials(Unauthenticated):
    code = "bad-credentials"


class BadToken(Unauthenticated):
    code = "bad-token"


class WrongPassword(Forbidden):
    """Not Unauthenticated: the token is good, only the password that was sent along is not."""

    code = "wrong-password"


class EmailTaken(Conflict):
    code = "email-taken"


class LastOwner(Conflict):
    code = "last-owner"


class BadScope(Invalid):
    code = "bad-scope"


class NotAnOperator(Invalid):
    code = "not-an-operator"
