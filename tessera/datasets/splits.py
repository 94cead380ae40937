"""Which part of a dataset an image is in. Pure.

An image is in one split as a whole: its tiles, and what is on them, are never divided.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tessera.formats.protocol import Split
from tessera.formats.records import LabelledImage

BLOCK = 100
"""Images of one stratum that have each split's share exactly."""


@dataclass(frozen=True)
class Shares:
    """How to divide a dataset."""

    train: int
    val: int
    test: int
    """Percent; the three are 100."""
    seed: int = 0
    stratified: bool = False

    @property
    def splits(self) -> tuple[Split, ...]:
        return tuple(split for split, share in self._shares() if share)

    def _shares(self) -> Sequence[tuple[Split, int]]:
        return ((Split.TRAIN, self.train), (Split.VAL, self.val), (Split.TEST, self.test))

    def block(self) -> list[Split]:
        return [split for split, share in self._shares() for _ in range(share)]


class Splitter:
    """Images are given in the order of ids.

    Not stratified, a split follows from the seed and the image's content alone: in a later version
    of the dataset the image is in the same one, and what was tested on is never trained on.

    Stratified, it also depends on the images before: each one counts for the class on it that was
    there least so far, and of a hundred images of one class each split has its exact share, in
    random order (permuted-block randomisation, Zelen 1974).
    """

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._seen: Counter[int] = Counter()
        self._blocks: dict[int | None, list[Split]] = {}
        self._random = random.Random(shares.seed)  # noqa: S311 - to be repeatable is the point

    def of(self, image: LabelledImage) -> Split:
        return self._stratified(image) if self._shares.stratified else self._by_content(image)

    def _by_content(self, image: LabelledImage) -> Split:
        drawn = hashlib.sha256(f"{self._shares.seed} {image.sha256}".encode()).digest()
        return self._shares.block()[int.from_bytes(drawn[:8]) * BLOCK >> 64]

    def _stratified(self, image: LabelledImage) -> Split:
        classes = {each.class_id for each in image.objects if not each.crowd}
        rarest = min(classes, key=lambda each: (self._seen[each], each)) if classes else None
        self._seen.update(classes)
        block = self._blocks.setdefault(rarest, [])
        if not block:
            block += self._random.sample(self._shares.block(), BLOCK)
        return block.pop()
