from tessera.kernel.errors import Conflict, Invalid


class NothingToBuild(Conflict):
    code = "nothing-to-build"


class FormatUnsuited(Invalid):
    """A format has no way to say what this kind of annotation says."""

    code = "format-unsuited"


class TilesUnsuited(Invalid):
    """What is said of an image cannot be said of a tile of it."""

    code = "tiles-unsuited"
