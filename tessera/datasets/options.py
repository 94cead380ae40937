"""What an operator may choose of a version: formats, splits, pictures, tiles. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tessera.datasets.errors import FormatUnsuited
from tessera.datasets.splits import Shares
from tessera.formats import FORMATS, WITHOUT_PICTURES, format_of

USUAL = ("coco", "json-lines", "parquet")


@dataclass(frozen=True)
class Options:
    formats: tuple[str, ...] = USUAL
    """Keys of `formats.FORMATS`."""
    splits: Shares | None = None
    pictures: bool = False
    tiles: bool = False
    """Whether every tile is an image of its own."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Options":
        splits = data["splits"]
        return cls(
            tuple(data["formats"]),
            None if splits is None else Shares(**splits),
            data["pictures"],
            data.get("tiles", False),
        )

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "formats": list(self.formats)}

    def check(self, kind: str) -> None:
        """Refuse formats that cannot hold what this kind of annotation says.

        Raises:
            UnknownFormat: There is no such format.
            FormatUnsuited: Names those that cannot, and those that can; or none of them has a place
                for pictures.
        """
        if unsuited := [name for name in self.formats if kind not in format_of(name).KINDS]:
            raise FormatUnsuited(
                f"What {kind} says cannot be written as {', '.join(unsuited)}.",
                known=sorted(name for name, each in FORMATS.items() if kind in each.KINDS),
            )
        if self.pictures and WITHOUT_PICTURES.issuperset(self.formats):
            there = {name for name, each in FORMATS.items() if kind in each.KINDS}
            raise FormatUnsuited(
                f"No pictures can come with {', '.join(self.formats)}; add a format with a place "
                "for them.",
                known=sorted(there - WITHOUT_PICTURES),
            )
