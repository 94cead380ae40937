from typing import ClassVar

from tessera.kernel.errors import Invalid


class _InvalidAt(Invalid):
    def __init__(self, at: str, why: str) -> None:
        """Say what is wrong and where.

        Args:
            at: Path to the offending value, as in `boxes[3].box[0]`; empty for the value itself.
            why: What is wrong with it, for people.
        """
        super().__init__(f"{at}: {why}" if at else why, at=at, why=why)


class InvalidAnswer(_InvalidAt):
    code: ClassVar[str] = "invalid-answer"


class InvalidLabelSchema(_InvalidAt):
    code: ClassVar[str] = "invalid-label-schema"


class UnknownKind(Invalid):
    code: ClassVar[str] = "unknown-kind"
