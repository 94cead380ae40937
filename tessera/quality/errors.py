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


class NotKnown(Conflict):
    """Nobody has said what the right answer is."""

    code = "answer-not-known"


class NotSettled(Conflict):
    code = "not-settled"


class NoPlacesLeft(Conflict):
    code = "no-places-left"


class NotInReview(Conflict):
    code = "not-in-review"


class SameReviewer(Conflict):
    """Another one is asked."""

    code = "same-reviewer"


class NotWanted(Conflict):
    """Nobody else's opinion of this task is wanted, or no longer."""

    code = "no-opinion-wanted"


class SampleTooLarge(Invalid):
    """There are not so many labels to draw from."""

    code = "sample-too-large"


class AlreadyAudited(Conflict):
    """A reviewer has looked at this task for this audit."""

    code = "already-audited"


class AlreadyRepaired(Conflict):
    code = "already-repaired"


class RepairOver(Conflict):
    code = "repair-over"


class NotGold(Conflict):
    code = "not-gold"
