"""What all kinds that outline objects have in common; a `Shape` says what is special about each.

Answer: `{"objects": [{"class": 3, <where it is>, "attributes": {}, "unsure": true}]}`; no objects
means that nothing is there. `unsure` is only there if true: the earner does not vouch for the
object, which then counts for half, as a hit and as a false alarm.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from scipy.optimize import linear_sum_assignment

from tessera.kinds import attributes, fields
from tessera.kinds.beside import says, tallies
from tessera.kinds.consensus import UNSURE, consensus, likely
from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.merging import doubts, merged
from tessera.kinds.opinions import each_once
from tessera.kinds.protocol import (
    UNDECIDED,
    Answer,
    Decided,
    Doubt,
    ImageObject,
    Label,
    Opinion,
    Outcome,
    Piece,
    Question,
    Tally,
)
from tessera.kinds.schema import LabelSchema
from tessera.kinds.shape import IN_IMAGE, Shape
from tessera.shapes.boxes import Boxes, Indices, pairs, shares
from tessera.shapes.seams import cut_edges

MOST_OBJECTS = 500
"""Of one tile. More are not drawn by hand in one go."""
MOSTLY = 0.5
"""Share of a drawing from which it is about the optional object that it lies on."""
_ROUNDING = 1e-9
_EXCUSED = 1e-6
"""Next to nothing, so that no hit is given up for an excuse."""


class _Compared(NamedTuple):
    """An answer and gold."""

    hits: float
    """Credit for what was matched."""
    counted: float
    """All that was drawn and all there is, but for what is excused."""
    is_whole: bool
    """Whether each is matched or excused."""
    found: int
    there: int
    drawn: float


class Objects:
    """The `Kind` of one shape of object."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def check_schema(self, schema: LabelSchema) -> None:
        self.shape.check_schema(schema)

    def validate(self, answer: object, question: Question) -> Answer:
        found = fields.record(answer, "", InvalidAnswer, required={"objects"})
        listed = fields.items(found["objects"], "objects", InvalidAnswer, most=MOST_OBJECTS)
        objects, left = [], 1.0
        for at, element in listed:
            objects.append(self._object(element, at, question))
            left -= self.shape.cost(objects[-1], question)
            if left < -_ROUNDING:
                raise InvalidAnswer(at, "is too much for one answer, with those before it")
        return self._canonical(objects, question)

    def _object(self, value: object, at: str, question: Question) -> dict[str, Any]:
        found = fields.record(
            value,
            at,
            InvalidAnswer,
            required={"class"},
            optional=self.shape.FIELDS | {"attributes", "unsure"},
        )
        named = question.schema.find(fields.whole(found["class"], f"{at}.class", InvalidAnswer))
        if named is None:
            raise InvalidAnswer(f"{at}.class", "is not a class of this project")
        place = self.shape.read(found, at, named, question)
        said = found.get("attributes", {})
        unsure = fields.truth(found.get("unsure", False), f"{at}.unsure", InvalidAnswer)
        return {
            "class": named.id,
            **place,
            "attributes": attributes.read(said, f"{at}.attributes", named.attributes, named.name),
            **({"unsure": True} if unsure else {}),
        }

    def _canonical(self, objects: Sequence[dict[str, Any]], question: Question) -> Answer:
        """In an order of their own: of equal objects all bytes are equal."""
        shapes = self.shape.load(objects, question.schema, question.frame.window[:2])
        rows = self.shape.bounds(shapes).tolist()
        order = sorted(
            range(len(objects)),
            key=lambda i: (rows[i], objects[i]["class"], orjson.dumps(objects[i])),
        )
        return {"objects": [objects[i] for i in order]}

    def score(self, answer: Label, gold: Label, question: Question) -> float:
        """Twice the credit for what was matched, divided by all that was drawn and all there is.

        With a credit of 1 that is the F1 of Rijsbergen 1979; with the IoU as credit it is the
        panoptic quality of Kirillov et al. 2019. Each gold object is found once, its class right.
        Optional gold is neither a miss nor, for one drawing of it and for any number that lie
        mostly on it, as on a crowd, a false alarm.
        """
        found = self._compared(answer, gold, question)
        return float(min(2 * found.hits / found.counted, 1.0)) if found.counted else 1.0

    def names_the_same(self, answer: Label, gold: Label, question: Question) -> bool:
        """Whether no object is missing, has another class, or is one too many."""
        return self._compared(answer, gold, question).is_whole

    def _compared(self, answer: Label, gold: Label, question: Question) -> _Compared:
        said, true = answer["objects"], gold["objects"]
        origin = question.frame.window[:2]
        drawn = self.shape.load(said, question.schema, origin)
        there = self.shape.load(true, question.schema, origin)
        optional = np.array([each.get("optional", False) for each in true], dtype=bool)
        vouched = np.array([UNSURE if each.get("unsure") else 1.0 for each in said])
        around, of_gold = self.shape.bounds(drawn), self.shape.bounds(there)
        row, column, _ = likely(self.shape, drawn, there)
        right = optional[column] | (_classes(said)[row] == _classes(true)[column])
        row, column = row[right], column[right]
        credit = vouched[row] * self.shape.credit(drawn[row], there[column])
        worth = np.zeros((len(said), len(true)))
        worth[row, column] = np.where(optional[column], _EXCUSED, credit)
        on, _, _ = pairs(shares, _solid(around), of_gold[optional], least=MOSTLY)
        excused = np.isin(np.arange(len(said)), np.setdiff1d(on, row[optional[column]]))
        row, column = linear_sum_assignment(worth, maximize=True)
        taken = worth[row, column] > 0
        row, column = row[taken], column[taken]
        excused[row] = optional[column]
        hits = worth[row, column][~optional[column]]
        needed = int((~optional).sum())
        return _Compared(
            hits=float(hits.sum()),
            counted=float(vouched[~excused].sum() + needed),
            is_whole=len(hits) == needed == (~excused).sum(),
            found=len(hits),
            there=needed,
            drawn=float((~excused).sum()),
        )

    def tally(self, answer: Label, gold: Label, question: Question) -> Tally:
        found = self._compared(answer, gold, question)
        return Tally(found.there, found.found, found.drawn, found.hits)

    def aggregate(
        self, opinions: Sequence[Opinion], question: Question, *, target_confidence: float
    ) -> Outcome:
        """Match objects across answers, decide on each, fuse its outlines.

        The confidence is that of the least certain decision: each object kept or dropped, and one
        imaginary object that nobody drew (so that *nothing here* has a confidence too). A product
        would fall to nothing on a tile of thirty objects, and ask for ever more answers about it.
        Objects centred outside the core do not count: they are another tile's, and at a window's
        edge good people differ. As nobody is asked about them further, they are optional unless
        certain.
        """
        found, nothing_missed = consensus(self.shape, each_once(opinions), question)
        kept = [each.as_json(target_confidence) for each in found if each.kept]
        confidence = min([nothing_missed, *(each.certainty for each in found if each.owned)])
        label = self._canonical(kept, question)
        return Outcome(label, confidence, confidence >= target_confidence)

    def tallies(self, opinions: Sequence[Opinion], question: Question) -> list[Tally]:
        """What each opinion tells of who gave it, if the others are believed."""
        return tallies(self.shape, opinions, question)

    def says(
        self, answers: Sequence[Label], question: Question, *, first_is_true: bool = False
    ) -> Indices:
        """See `parts.InParts`: a part is what anybody drew."""
        return says(self.shape, answers, question, first_is_true=first_is_true)

    def to_image(self, label: Label, question: Question) -> list[ImageObject]:
        objects, frame = label["objects"], question.frame
        left, top = frame.window[:2]
        drawn = self.shape.load(objects, question.schema, (left, top))
        moved = self.shape.moved(drawn, left, top)
        cut = cut_edges(self.shape.bounds(moved), frame)
        return [
            {
                "class": each["class"],
                **place,
                "attributes": each.get("attributes", {}),
                "confidence": each.get("confidence", 1.0),
                "cut": edges,
            }
            | ({"optional": True} if each.get("optional") else {})
            for each, place, edges in zip(objects, self.shape.dump(moved), cut, strict=True)
        ]

    def to_tile(self, objects: Sequence[Mapping[str, Any]], question: Question) -> Answer:
        window = question.frame.window
        known = self.shape.load(objects, question.schema, IN_IMAGE)
        shown, source, share = self.shape.clipped(known, window)
        barely = share < self.shape.LEAST_VISIBLE
        places = self.shape.dump(self.shape.moved(shown, -window.left, -window.top))
        label = [
            {
                "class": of["class"],
                **places[i],
                "attributes": dict(sorted(of.get("attributes", {}).items())),
            }
            | ({"confidence": of["confidence"]} if "confidence" in of else {})
            | ({"optional": True} if barely[i] or of.get("optional") else {})
            for i in range(len(shown))
            for of in [objects[source[i]]]
        ]
        return self._canonical(label, question)

    def known(self, value: object, at: str, question: Question) -> ImageObject:
        optional, rest = False, value
        if isinstance(value, dict):
            optional = fields.truth(value.get("optional", False), f"{at}.optional", InvalidAnswer)
            rest = {name: each for name, each in value.items() if name != "optional"}
        found = self._object(rest, at, question)
        if "unsure" in found:
            raise InvalidAnswer(f"{at}.unsure", "does not go with what is known")
        return found | ({"optional": True} if optional else {})

    def reach(self, objects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> Boxes:
        return self.shape.bounds(self.shape.load(objects, schema, IN_IMAGE))

    def merge(
        self, pieces: Sequence[Piece], schema: LabelSchema, decided: Decided = UNDECIDED
    ) -> list[ImageObject]:
        """Objects that two windows saw are matched, those that no window holds are joined."""
        return merged(self.shape, pieces, schema, decided=decided)

    def soft(self, labels: Sequence[Label], schema: LabelSchema) -> None:
        """Objects have a confidence each."""

    def doubts(self, pieces: Sequence[Piece], schema: LabelSchema) -> list[Doubt]:
        """Pairs of objects of which geometry cannot tell whether they are one."""
        return doubts(self.shape, pieces, schema) if any(p.objects for p in pieces) else []


def _classes(objects: Sequence[Mapping[str, Any]]) -> Indices:
    return np.array([each["class"] for each in objects], dtype=np.int64)


def _solid(bounds: Boxes) -> Boxes:
    """Boxes with some area, also around an upright line."""
    size = bounds[:, 2:] - bounds[:, :2]
    return np.hstack((bounds[:, :2], bounds[:, :2] + np.maximum(size, 0.01)))
