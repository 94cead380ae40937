from tessera.kernel.errors import Conflict, Invalid


class BadCoco(Invalid):
    """The file is not COCO as we can use it; `at` says where."""

    code = "bad-coco"


class UnknownClass(Invalid):
    code = "unknown-class"


class UnknownImage(Invalid):
    code = "unknown-image"


class TooMuchGold(Invalid):
    """More than one import may hold."""

    code = "too-much-gold"


class NotSettled(Conflict):
    code = "not-settled"


class NoPlacesLeft(Conflict):
    code = "no-places-left"


class NotInReview(Conflict):
    code = "not-in-review"
