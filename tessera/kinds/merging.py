"""Objects of one image, seen by many tiles, put together so that each is there once."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tessera.kinds.protocol import ImageObject, Piece
from tessera.kinds.schema import LabelSchema
from tessera.kinds.shape import IN_IMAGE, Seen, Shape
from tessera.shapes.boxes import Boxes, Indices, areas, as_boxes, centred_in
from tessera.shapes.seams import Likeness, same_objects


def groups_of(shape: Shape, seen: Seen) -> Indices:
    """Shape (N,). The object that each piece shows, numbered 0, 1, ..."""
    likeness = Likeness(
        view=lambda members, zones: shape.view(seen.shapes[members], zones),
        alike=shape.alike,
        least=shape.ALIKE,
        least_of_two_classes=shape.ALIKE_OF_TWO_CLASSES,
        in_pieces=shape.IN_PIECES,
    )
    return same_objects(seen.bounds, seen.classes, seen.tiles, seen.frames, likeness)


def merged(
    shape: Shape,
    pieces: Sequence[Piece],
    schema: LabelSchema,
    same: Callable[[Shape, Seen], Indices] = groups_of,
) -> list[ImageObject]:
    """Every object of an image once, in reading order; see `Kind.merge`.

    Args:
        same: Says which pieces are one object.
    """
    order = sorted(range(len(pieces)), key=lambda i: (pieces[i].frame.window, pieces[i].frame.core))
    drawn = [each for i in order for each in pieces[i].objects]
    if not drawn:
        return []
    shapes = shape.load(drawn, schema, IN_IMAGE)
    seen = Seen(
        shapes=shapes,
        bounds=shape.bounds(shapes),
        classes=np.array([each["class"] for each in drawn], dtype=np.int64),
        confidence=np.array([each["confidence"] for each in drawn], dtype=np.float64),
        cut=np.array([bool(each["cut"]) for each in drawn]),
        firm=np.array([not each.get("optional", False) for each in drawn]),
        tiles=np.repeat(np.arange(len(order)), [len(pieces[i].objects) for i in order]),
        frames=[pieces[i].frame for i in order],
    )
    return list(_objects(shape, seen, same(shape, seen), drawn, order))


def _objects(
    shape: Shape, seen: Seen, groups: Indices, drawn: list[ImageObject], order: list[int]
) -> Iterator[ImageObject]:
    together = shape.together(seen, groups)
    bounds, size = shape.bounds(together), _sizes(seen.bounds)
    classes = _classes(seen, groups)
    winning = seen.classes == classes[groups]
    confidence = np.zeros(len(bounds))
    np.maximum.at(confidence, groups[winning], seen.confidence[winning])
    cores = as_boxes([each.core for each in seen.frames])[seen.tiles]
    elsewhere = ~centred_in(bounds[groups], *cores.T)
    own = centred_in(seen.bounds, *cores.T)  # what a tile sees of it, as when people were asked
    firm, owned = (np.bincount(groups, each, len(bounds)) > 0 for each in (seen.firm, own))
    best_first = np.lexsort((-size, elsewhere, groups))
    sources: list[list[int]] = [[] for _ in bounds]
    for group, tile in zip(
        groups[best_first].tolist(), seen.tiles[best_first].tolist(), strict=True
    ):
        if order[tile] not in sources[group]:
            sources[group].append(order[tile])
    by_class = np.lexsort((-size, elsewhere, ~winning, groups))
    _, starts = np.unique(groups[by_class], return_index=True)
    speaker = by_class[starts].tolist()
    places, names, sure = shape.dump(together), classes.tolist(), confidence.tolist()
    in_order = np.lexsort((classes, bounds[:, 2], bounds[:, 3], bounds[:, 0], bounds[:, 1]))
    for i in in_order[(firm | owned)[in_order]].tolist():
        yield {
            "class": names[i],
            **places[i],
            "attributes": drawn[speaker[i]]["attributes"],
            "confidence": sure[i],
            "sources": sources[i],
        } | ({} if firm[i] else {"optional": True})


def _classes(seen: Seen, groups: Indices) -> Indices:
    """Shape (G,). The class with most confidence times area behind it; ties to the lowest id."""
    pairs, which = np.unique(np.stack((groups, seen.classes)), axis=1, return_inverse=True)
    behind = np.bincount(which.ravel(), seen.confidence * _sizes(seen.bounds))
    ranked = np.lexsort((pairs[1], -behind, pairs[0]))
    _, starts = np.unique(pairs[0][ranked], return_index=True)
    return np.asarray(pairs[1][ranked[starts]])


def _sizes(bounds: Boxes) -> Boxes:
    """Area of each, and never none: a line has some extent too."""
    return np.asarray(areas(bounds) + (bounds[:, 2:] - bounds[:, :2]).sum(axis=1))
