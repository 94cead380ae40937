from tessera.kernel.errors import Conflict, Invalid


class BadCoco(Invalid):
    """The file is not COCO as we can use it; `at` says where."""

    code = "bad-coco"


class UnknownClass(Invalid):
    code = "unknown-class"


class UnknownImage(Invalid):
    code = "unknown-image"


class TooMuch(Invalid):
    """More than one import may hold."""

    code = "too-much"


class TooMuchGold(TooMuch):
    code = "too-much-gold"


class TooManyPredictions(TooMuch):
    code = "too-many-predictions"


class TakesNoPredictions(Conflict):
    """The project does not verify, or verifies what an earlier stage of its chain comes to."""

    code = "takes-no-predictions"


class NotReadable(Invalid):
    """A format that is only written, or that cannot hold what the project asks for."""

    code = "format-not-readable"


class NothingToReplay(Conflict):
    code = "nothing-to-replay"


class NotSettled(Conflict):
    code = "not-settled"


class NoPlacesLeft(Conflict):
    code = "no-places-left"


class NotInReview(Conflict):
    code = "not-in-review"
