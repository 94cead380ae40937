from tessera.kernel.errors import Conflict, Invalid


class NotEditable(Conflict):
    code = "not-editable"


class WrongState(Conflict):
    code = "wrong-state"


class InvalidPolicy(Invalid):
    """Fields that make sense each by itself, but not together."""

    code = "invalid-policy"
