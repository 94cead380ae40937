from tessera.kernel.errors import Conflict


class NotEditable(Conflict):
    code = "not-editable"


class WrongState(Conflict):
    code = "wrong-state"
