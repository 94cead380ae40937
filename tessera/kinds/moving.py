"""What is known of a window of an image, known of another one a little beside it. Pure.

What leaves the window is cut. Where the other window shows what the first did not show, something
optional lies all over it: nobody has looked there, so nothing is held against anybody.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tessera.kinds.objects import Objects
from tessera.kinds.protocol import Answer, ImageObject, Label, Question
from tessera.kinds.schema import LabelSchema
from tessera.shapes import rasters
from tessera.shapes.boxes import Boxes
from tessera.shapes.frames import TileFrame, Window
from tessera.shapes.seams import EDGES

_NEVER_CUT = frozenset({"cuboid"})
"""Kinds whose objects are drawn whole, whatever the window shows of them."""
_BEYOND = frozenset({"box", "cuboid", "keypoints", "polyline"})
"""Kinds of which what may be there is told by something that lies partly outside of the window:
they may be drawn so, or on its very edge, or would be taken for what is drawn inside."""
_NEAR_EDGE = 1 / 16
"""Of a window's side: what ends so near its edge may go on behind it, as a ring with a gap does."""
_FAR_EDGE = 1 / 2
"""The same of points, of which some are missing: only one of them may have been in the window."""
_LEAST_KEPT = 0.5
"""Share of the known objects that a view has to show, or it would ask for less."""


def may_move(kind_name: str, schema: LabelSchema) -> bool:
    """Whether an answer says where things are, so that it can be moved with the window.

    Which classes a window shows may be others a little beside; whoever verifies would miss what
    the subject does not have there.
    """
    return kind_name in {*_COVERS, "semantic_mask"} and schema.camera is None


def moved(kind_name: str, label: Label, question: Question, frame: TileFrame) -> Answer | None:
    """The right answer in another frame; None if it cannot be told, or too little is left of it.

    Args:
        question: About the first window, to which the label is the answer.
    """
    from tessera.kinds import KINDS  # noqa: PLC0415 - which has all kinds

    kind, there = KINDS[kind_name], Question(question.schema, frame)
    known = kind.to_image(label, question)
    said = label["regions" if kind_name == "semantic_mask" else "objects"]
    for each, first in zip(known, said, strict=True):
        if "confidence" not in first:
            del each["confidence"]
    if not isinstance(kind, Objects):
        return kind.to_tile(known, there)  # what is void counts for nothing
    unknown = _unknown(kind_name, known, question, there)
    told = kind.to_tile(known, there)
    _, beyond = _entered(question.frame.window, there.frame.window)
    covers = [_COVERS[kind_name](each, beyond, question.schema) for each in unknown]
    if _firm(told) < _LEAST_KEPT * _firm(label) or None in covers:
        return None
    more = {"class": question.schema.classes[0].id, "attributes": {}, "optional": True}
    return {"objects": [*told["objects"], *({**more, **(each or {})} for each in covers)]}


def _unknown(
    kind_name: str, known: Sequence[ImageObject], before: Question, after: Question
) -> list[Window]:
    """Where something may be that was not seen before, in the pixels of the new window.

    What goes on there, and what was cut before and is cut again, so that nobody knows how much of
    it is left, becomes optional.
    """
    from tessera.kinds import KINDS  # noqa: PLC0415 - which has all kinds

    window, (new, beyond) = after.frame.window, _entered(before.frame.window, after.frame.window)
    found = [_outwards(new, beyond) if kind_name in _BEYOND else new]
    if known and kind_name not in _NEVER_CUT:
        reach = KINDS[kind_name].reach(known, before.schema)
        near = _reaches(reach, before.frame.window, beyond, within=_NEAR_EDGE)
        if kind_name == "keypoints":
            wide = _reaches(reach, before.frame.window, beyond, within=_FAR_EDGE)
            near = [each and _lacks_points(of) for each, of in zip(wide, known, strict=True)]
        inside = _inside(reach, window)
        for each, goes_on, whole, around in zip(known, near, inside, reach.tolist(), strict=True):
            if goes_on or (each["cut"] and not whole):
                each["optional"] = True
            if goes_on and kind_name != "polyline":  # one near another would be taken for it
                found.append(_through(around, found[0], beyond))
    return [
        Window(*(edge - window[i % 2] for i, edge in enumerate(each)))
        for each in (found if kind_name in _BEYOND else [_clip(each, window) for each in found])
    ]


def _entered(before: Window, after: Window) -> tuple[Window, str]:
    """What a window shows that it did not show before, and behind which of its edges that was."""
    if after.right > before.right:
        return after._replace(left=before.right), "right"
    if after.left < before.left:
        return after._replace(right=before.left), "left"
    if after.bottom > before.bottom:
        return after._replace(top=before.bottom), "bottom"
    return after._replace(bottom=before.top), "top"


def _outwards(strip: Window, edge: str) -> Window:
    """As far out of the image's window as somebody may draw."""
    far = max(strip.size)
    return Window(
        strip.left - far * (edge != "right"),
        strip.top - far * (edge != "bottom"),
        strip.right + far * (edge != "left"),
        strip.bottom + far * (edge != "top"),
    )


def _through(bounds: Sequence[float], strip: Window, edge: str) -> Window:
    """Where an object may be that goes on in a strip: around what is known of it, and beyond."""
    low, high = (
        [math.floor(each) for each in bounds[:2]],
        [math.ceil(each) for each in bounds[2:]],
    )
    around = Window(*low, *high)
    if edge in ("left", "right"):
        return around._replace(
            left=min(around.left, strip.left), right=max(around.right, strip.right)
        )
    return around._replace(top=min(around.top, strip.top), bottom=max(around.bottom, strip.bottom))


def _clip(each: Window, to: Window) -> Window:
    return Window(
        max(each.left, to.left),
        max(each.top, to.top),
        min(each.right, to.right),
        min(each.bottom, to.bottom),
    )


def _lacks_points(each: Mapping[str, Any]) -> bool:
    return not all(v for _, _, v in each["points"])


def _reaches(bounds: Boxes, window: Window, edge: str, *, within: float) -> list[bool]:
    """What ends so near an edge that a part of it may come again behind it."""
    number = EDGES.index(edge)
    inwards = (bounds[:, number] - window[number]) * (1 if number < len(EDGES) / 2 else -1)
    found: list[bool] = (inwards <= within * max(window.size)).tolist()
    return found


def _inside(bounds: Boxes, window: Window) -> list[bool]:
    low, high = np.array(window[:2]), np.array(window[2:])
    inner = np.hstack((bounds[:, :2] >= low, bounds[:, 2:] <= high))
    found: list[bool] = np.asarray(inner.all(axis=1)).tolist()
    return found


def _firm(label: Label) -> int:
    return sum(not each.get("optional") for each in label["objects"])


Cover = Callable[[Window, str, LabelSchema], dict[str, Any] | None]


def _box(of: Window, beyond: str, schema: LabelSchema) -> dict[str, Any]:
    del beyond, schema
    return {"box": [float(edge) for edge in of]}


def _corners(of: Window) -> list[list[float]]:
    left, top, right, bottom = map(float, of)
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _points(of: Window, beyond: str, schema: LabelSchema) -> dict[str, Any] | None:
    """None of a skeleton of one point: it covers nothing."""
    del beyond
    skeleton = schema.classes[0].skeleton
    count = 0 if skeleton is None else len(skeleton.points)
    ends = [[float(of.left), float(of.top), 2], [float(of.right), float(of.bottom), 2]]
    return None if count < len(ends) else {"points": [ends[i % 2] for i in range(count)]}


def _line(of: Window, beyond: str, schema: LabelSchema) -> dict[str, Any]:
    """Around it outside of the picture: inside it would be taken for what is drawn there."""
    del schema
    corners, first = _corners(of), ("right", "bottom", "left", "top").index(beyond)
    return {"line": corners[first:] + corners[:first]}


def _mask(of: Window, beyond: str, schema: LabelSchema) -> dict[str, Any]:
    del beyond, schema
    width, height = of.size
    columns = np.arange(width)
    strokes = rasters.Strokes(columns, np.zeros_like(columns), np.full_like(columns, height))
    return {"mask": strokes.moved(of.left, of.top).as_json()}


_COVERS: Mapping[str, Cover] = {
    "box": _box,
    "cuboid": lambda of, *_: {"cuboid": _corners(of) * 2},
    "instance_mask": _mask,
    "keypoints": _points,
    "polygon": lambda of, *_: {"polygon": [[_corners(of)]]},
    "polyline": _line,
}
"""An object of each kind that lies all over a window."""
