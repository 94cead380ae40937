from tessera.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated


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


class BadInvitation(NotFound):
    """Whatever is wrong with it: who tries tokens out is not told that one was good once."""

    code = "bad-invitation"


class TooManyInvitations(Conflict):
    code = "too-many-invitations"


class AlreadyMember(Conflict):
    code = "already-member"


class BadScope(Invalid):
    code = "bad-scope"


class NotAnOperator(Invalid):
    code = "not-an-operator"
