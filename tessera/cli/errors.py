from typing import ClassVar

from tessera.kernel.errors import Conflict, DomainError, Invalid


class Refusals(ExceptionGroup[DomainError]):
    """All that was found in one go, so that all of it can be put right in one go."""


class BadUsage(Invalid):
    """The command itself cannot be meant."""

    code: ClassVar[str] = "bad-usage"


class OutExists(Conflict):
    code: ClassVar[str] = "out-exists"


class LabelsUnfit(Invalid):
    """Labels that are not of these images, or not such as were asked for."""

    code: ClassVar[str] = "labels-unfit"


class TilesUnlabelled(Invalid):
    code: ClassVar[str] = "tiles-unlabelled"
