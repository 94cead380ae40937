"""Objects of one image, seen by many tiles, put together so that each is there once."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import itemgetter

import numpy as np

from tessera.kinds.protocol import UNDECIDED, Decided, Doubt, ImageObject, Piece
from tessera.kinds.schema import LabelSchema
from tessera.kinds.shape import IN_IMAGE, Measures, Seen, Shape
from tessera.shapes.boxes import Boxes, Indices, areas, as_boxes, firsts
from tessera.shapes.seams import NOTHING_TOLD, Likeness, Told, doubtful, same_objects


def groups_of(shape: Shape, seen: Seen, told: Told = NOTHING_TOLD) -> Indices:
    """Shape (N,). The object that each piece shows, numbered 0, 1, ..."""
    return same_objects(
        seen.bounds, seen.classes, seen.tiles, seen.frames, _likeness(shape, seen), told
    )


def doubts(shape: Shape, pieces: Sequence[Piece], schema: LabelSchema) -> list[Doubt]:
    """Pairs of objects of which geometry cannot tell whether they are one."""
    order = _order(pieces)
    seen = _seen(shape, [pieces[i] for i in order], _drawn(pieces, order), schema)
    likeness, names = _likeness(shape, seen), _names(pieces, order)
    pairs = doubtful(seen.bounds, seen.classes, seen.tiles, seen.frames, likeness)
    ends = [[names[i] for i in each.tolist()] for each in pairs]
    return list(zip(*ends, strict=True))


def _likeness(shape: Shape, seen: Seen) -> Likeness:
    return Likeness(
        view=lambda members, zones: shape.view(seen.shapes.take(members, axis=0), zones),
        alike=shape.alike,
        least=shape.ALIKE,
        least_of_two_classes=shape.ALIKE_OF_TWO_CLASSES,
        in_pieces=shape.IN_PIECES,
    )


def merged(
    shape: Shape,
    pieces: Sequence[Piece],
    schema: LabelSchema,
    same: Callable[[Shape, Seen], Indices] | None = None,
    decided: Decided = UNDECIDED,
) -> list[ImageObject]:
    """Every object of an image once, in reading order; see `Kind.merge`.

    Args:
        same: Says which pieces are one object, instead of geometry.
        decided: Whether pairs of objects are one, whatever geometry says.
    """
    order = _order(pieces)
    drawn = _drawn(pieces, order)
    if not drawn:
        return []
    seen = _seen(shape, [pieces[i] for i in order], drawn, schema)
    if same is None:
        told = _told(_names(pieces, order), decided) if decided else NOTHING_TOLD
        groups = groups_of(shape, seen, told)
    else:
        groups = same(shape, seen)
    return _objects(shape, seen, groups, drawn, np.array(order))


def _order(pieces: Sequence[Piece]) -> list[int]:
    return sorted(range(len(pieces)), key=lambda i: (pieces[i].frame.window, pieces[i].frame.core))


def _drawn(pieces: Sequence[Piece], order: Sequence[int]) -> list[ImageObject]:
    return [each for i in order for each in pieces[i].objects]


def _names(pieces: Sequence[Piece], order: Sequence[int]) -> list[tuple[int, int]]:
    """Of all objects in that order of the pieces: number of the piece, and of the object in it."""
    return [(piece, i) for piece in order for i in range(len(pieces[piece].objects))]


def _seen(
    shape: Shape, pieces: Sequence[Piece], drawn: Sequence[ImageObject], schema: LabelSchema
) -> Seen:
    frames = [piece.frame for piece in pieces]
    shapes = shape.load(drawn, schema, IN_IMAGE)
    tiles = np.repeat(np.arange(len(pieces)), [len(each.objects) for each in pieces])
    return Seen(
        shapes=shapes,
        bounds=shape.bounds(shapes),
        classes=np.fromiter(map(itemgetter("class"), drawn), np.int64),
        confidence=np.fromiter(map(itemgetter("confidence"), drawn), np.float64),
        cut=np.fromiter(map(bool, map(itemgetter("cut"), drawn)), np.bool_),
        firm=np.array(["optional" not in each for each in drawn], np.bool_),
        tiles=tiles,
        cores=as_boxes([each.core for each in frames])[tiles],
        frames=frames,
    )


def _told(names: Sequence[tuple[int, int]], decided: Decided) -> Told:
    row = {name: i for i, name in enumerate(names)}
    ends = np.array([[row[first], row[second]] for first, second in decided], np.int64)
    return Told(ends[:, 0], ends[:, 1], np.array([*decided.values()], np.bool_))


def _objects(
    shape: Shape, seen: Seen, groups: Indices, drawn: Sequence[ImageObject], order: Indices
) -> list[ImageObject]:
    together = shape.together(seen, groups)
    bounds, sizes = shape.bounds(together), _sizes(seen.bounds)
    classes = _classes(seen, groups, sizes)
    winning = seen.classes == classes[groups]
    confidence = np.zeros(len(bounds))
    np.maximum.at(confidence, groups[winning], seen.confidence[winning])
    own = seen.owned(seen.bounds)  # what a tile sees of it, as when people were asked
    firm, owned = (np.bincount(groups, each, len(bounds)) > 0 for each in (seen.firm, own))
    best_first = np.lexsort((-sizes, ~seen.owned(bounds[groups]), groups))
    speakers = best_first[winning[best_first]]
    speakers = speakers[firsts(groups[speakers])]
    sources = _sources(seen, groups, best_first, order)
    in_order = np.lexsort((classes, bounds[:, 2], bounds[:, 3], bounds[:, 0], bounds[:, 1]))
    kept = in_order[(firm | owned)[in_order]]
    alone = np.bincount(groups)[kept] == 1
    joined = iter(shape.dump(together[kept[~alone]]))
    columns = [each[kept].tolist() for each in (classes, confidence, speakers)]
    fields, found = sorted(shape.FIELDS), []
    rows = zip(kept.tolist(), alone.tolist(), *columns, strict=True)
    for group, single, class_id, sure, speaker in rows:
        said = drawn[speaker]
        each: ImageObject = {"class": class_id}
        if single:  # where it is, to the only tile that saw it
            for name in fields:
                if name in said:
                    each[name] = said[name]
        else:
            each |= next(joined)
        each["attributes"], each["confidence"] = said["attributes"], sure
        each["sources"] = sources[group]
        found.append(each)
    for place in np.flatnonzero(~firm[kept]).tolist():
        found[place]["optional"] = True
    return found


def _sources(seen: Seen, groups: Indices, ranked: Indices, order: Indices) -> list[list[int]]:
    """Per group the pieces that show it, each once, in the order of the ranking."""
    tiles, of = seen.tiles[ranked], groups[ranked]
    _, once = np.unique(of * len(order) + tiles, return_index=True)
    once.sort()
    numbers, starts = order[tiles[once]].tolist(), firsts(of[once]).tolist()
    return [numbers[start:end] for start, end in pairwise([*starts, len(numbers)])]


def _classes(seen: Seen, groups: Indices, sizes: Measures) -> Indices:
    """Shape (G,). The class with most confidence times area behind it; ties to the lowest id."""
    ids, named = np.unique(seen.classes, return_inverse=True)
    pairs, which = np.unique(groups * len(ids) + named, return_inverse=True)
    group, name = np.divmod(pairs, len(ids))
    ranked = np.lexsort((-np.bincount(which, seen.confidence * sizes), group))
    return np.asarray(ids[name[ranked[firsts(group)]]])


def _sizes(bounds: Boxes) -> Measures:
    """Area of each, and never none: a line has some extent too."""
    return np.asarray(areas(bounds) + (bounds[:, 2:] - bounds[:, :2]).sum(axis=1))
