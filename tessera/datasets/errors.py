from tessera.kernel.errors import Conflict


class NothingToBuild(Conflict):
    code = "nothing-to-build"
