from tessera.kernel.errors import Conflict, Invalid, Unauthenticated


class BadCredentials(Unauthenticated):
    code = "bad-credentials"


class BadToken(Unauthenticated):
    code = "bad-token"


class EmailTaken(Conflict):
    code = "email-taken"


class LastOwner(Conflict):
    code = "last-owner"


class BadScope(Invalid):
    code = "bad-scope"


class NotAnOperator(Invalid):
    code = "not-an-operator"
