from tessera.kernel.errors import Conflict, Invalid


class NotEditable(Conflict):
    code = "not-editable"


class CannotFollow(Invalid):
    """The stages of a chain would not fit together."""

    code = "cannot-follow"


class WrongState(Conflict):
    code = "wrong-state"


class InvalidPolicy(Invalid):
    """Fields that make sense each by itself, but not together."""

    code = "invalid-policy"
