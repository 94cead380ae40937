from typing import ClassVar

from tessera.kernel.errors import Invalid


class BadFile(Invalid):
    """Files that cannot be read as what they are said to be."""

    code: ClassVar[str] = "bad-file"

    def __init__(self, at: str, why: str) -> None:
        """Say what is wrong and where.

        Args:
            at: Path, and line or record.
            why: What is wrong with it, for people.
        """
        super().__init__(f"{at}: {why}" if at else why, at=at, why=why)


class UnknownFormat(Invalid):
    code: ClassVar[str] = "unknown-format"
