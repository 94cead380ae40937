"""Figures about a version, counted while it is written. Pure.

All sums are of whole numbers: of floats they would depend on the order.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tessera.datasets.assemble import Gap
from tessera.formats.records import DIGITS, LabelledImage
from tessera.kinds import LabelSchema
from tessera.shapes.georeference import Georeference

GOLD = "gold"
_SCALE: int = 10**DIGITS
_QUANTILES = (5, 25, 50)
"""Percent. The low end is where a dataset's errors are."""


@dataclass
class Tally:
    images: int = 0
    images_empty: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    """Images by split."""
    georeferenced: int = 0
    """Images of which it is known where on a map they are; `on_earth` those with degrees."""
    on_earth: int = 0
    left_out: Counter[Gap] = field(default_factory=Counter)
    objects: Counter[int] = field(default_factory=Counter)
    """By class, without crowds."""
    crowds: int = 0
    tiles: Counter[str] = field(default_factory=Counter)
    """By what settled them."""
    confidences: Counter[int] = field(default_factory=Counter)
    """Tiles by confidence, in units of its last decimal. Gold is left out: it was known before."""

    def add(self, image: LabelledImage) -> None:
        self.images += 1
        if image.split is not None:
            self.splits[image.split] += 1
        if image.georeference is not None:
            there = Georeference.of(image.georeference)
            self.georeferenced += 1
            self.on_earth += there.is_on_earth(image.width, image.height)
        self.images_empty += not image.objects
        self.objects.update(each.class_id for each in image.objects if not each.crowd)
        self.crowds += sum(each.crowd for each in image.objects)
        self.tiles.update(each.source for each in image.tiles)
        self.confidences.update(
            round(each.confidence * _SCALE) for each in image.tiles if each.source != GOLD
        )

    def counts(self, schema: LabelSchema) -> dict[str, Any]:
        return {
            "images": self.images,
            "images_empty": self.images_empty,
            "images_left_out": self.left_out.total(),
            "images_unusable": self.left_out[Gap.UNUSABLE],
            "tiles": dict(self.tiles),
            "objects": self.objects.total(),
            "crowds": self.crowds,
            "classes": [
                {"id": each.id, "name": each.name, "objects": self.objects[each.id]}
                for each in schema.classes
            ],
        }

    def confidence(self) -> dict[str, Any] | None:
        """Mean and low quantiles over tiles; none if all there is is gold."""
        total = self.confidences.total()
        if not total:
            return None
        mean = sum(value * count for value, count in self.confidences.items()) / total
        return {
            "mean": round(mean / _SCALE, DIGITS),
            "quantiles": {str(q): self._quantile(q * total) for q in _QUANTILES},
        }

    def _quantile(self, hundredths: int) -> float:
        """The smallest confidence that at least this many hundredths of a tile do not exceed."""
        below = 0
        for value in sorted(self.confidences):
            below += self.confidences[value]
            if below * 100 >= hundredths:
                break
        return value / _SCALE
