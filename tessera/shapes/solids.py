"""Boxes in space, and their eight corners as a camera sees them.

A solid is a row (x, y, z, length, height, width, yaw): its centre in metres in the camera's frame
(x right, y down, z forward), its sides in metres, and the angle about y in radians, clockwise seen
from above, at which its front looks; 0 is to the right. That is KITTI's (Geiger et al. 2012), but
for the centre, which there is that of the bottom.

Corners are in pixels, shape (N, 8, 2): the front face's left top, right top, right bottom, left
bottom as whoever stands before it sees them, then those of the rear behind each.
"""

import numpy as np
from numpy.typing import NDArray

Solids = NDArray[np.float64]
"""Shape (N, 7)."""
Corners = NDArray[np.float64]
"""Shape (N, 8, 2)."""
_Outline = tuple[NDArray[np.float64], NDArray[np.float64]]
FROM_BEHIND = np.array([5, 4, 7, 6, 1, 0, 3, 2])
"""The corners of a box of which the rear is taken for the front."""
# along length, height and width; y goes down, so that -1 is the top
_SIGNS = np.array(
    [
        *[(1, -1, -1), (1, -1, 1), (1, 1, 1), (1, 1, -1)],
        *[(-1, -1, -1), (-1, -1, 1), (-1, 1, 1), (-1, 1, -1)],
    ]
)


def corners_in_space(solids: Solids) -> NDArray[np.float64]:
    """Shape (N, 8, 3), metres."""
    x, y, z = np.moveaxis(_SIGNS * solids[:, None, 3:6] / 2, -1, 0)
    cos, sin = np.cos(solids[:, 6:]), np.sin(solids[:, 6:])
    own = np.stack((cos * x + sin * z, y, cos * z - sin * x), axis=-1)
    return np.asarray(own + solids[:, None, :3])


def projected(solids: Solids, camera: NDArray[np.float64]) -> tuple[Corners, NDArray[np.float64]]:
    """Corners in pixels, and how far each is in front of the camera; (N, 8).

    Where that is not above 0 the pixels mean nothing.

    Args:
        camera: Shape (3, 4).
    """
    at = corners_in_space(solids)
    seen = np.concatenate((at, np.ones((*at.shape[:2], 1))), axis=-1) @ camera.T
    depth = seen[..., 2:]
    pixels = np.divide(seen[..., :2], depth, out=np.zeros_like(seen[..., :2]), where=depth > 0)
    return pixels, depth[..., 0]


def ious(first: Solids, second: Solids) -> NDArray[np.float64]:
    """Intersection over union of volumes, row by row (Geiger et al. 2012): ground times height."""
    ground = _shared_ground(first, second)
    half = (first[:, 4] + second[:, 4]) / 2
    tall = np.clip(
        half - np.abs(first[:, 1] - second[:, 1]), 0, np.minimum(first[:, 4], second[:, 4])
    )
    shared = ground * tall
    either = first[:, 3:6].prod(axis=1) + second[:, 3:6].prod(axis=1) - shared
    return np.asarray(np.divide(shared, either, out=np.zeros_like(shared), where=either > 0))


def _shared_ground(first: Solids, second: Solids) -> NDArray[np.float64]:
    """Square metres that both stand on, row by row: of the first what the second's sides leave."""
    at = corners_in_space(first)[:, [0, 1, 5, 4]][..., [0, 2]] - second[:, None, [0, 2]]
    cos, sin = np.cos(second[:, 6:]), np.sin(second[:, 6:])
    x, z = at[..., 0], at[..., 1]
    lengthwise, across = _cut((cos * x - sin * z, sin * x + cos * z), second[:, 3:4] / 2)
    across, lengthwise = _cut((across, lengthwise), second[:, 5:6] / 2)
    doubled = lengthwise * np.roll(across, -1, axis=1) - across * np.roll(lengthwise, -1, axis=1)
    return np.asarray(np.abs(doubled.sum(axis=1)) / 2)


def _cut(outline: _Outline, most: NDArray[np.float64]) -> _Outline:
    """Outlines without what lies further than `most` to either side of 0 along their first axis.

    Where an edge crosses a limit it gets a point; then all that is outside is moved onto the limit,
    where it goes to and fro, and encloses nothing.

    Args:
        outline: Along the axis, and across it; shape (N, K) each.
        most: Shape (N, 1).

    Returns:
        Shape (N, 3 K) each.
    """
    along, across = outline
    rise, run = (np.roll(each, -1, axis=1) - each for each in outline)
    ends = np.stack((np.copysign(most, -rise), np.copysign(most, rise)), axis=-1)
    way = np.divide(
        ends - along[..., None],
        rise[..., None],
        out=np.zeros(ends.shape),
        where=rise[..., None] != 0,
    )
    way = np.concatenate((np.zeros((*rise.shape, 1)), np.clip(way, 0, 1)), axis=-1)
    points = (
        each[..., None] + way * step[..., None] for each, step in ((along, rise), (across, run))
    )
    along, across = (each.reshape(len(most), 3 * rise.shape[1]) for each in points)
    return np.clip(along, -most, most), across


def corner_similarity(first: Corners, second: Corners, sigma: float) -> NDArray[np.float64]:
    """Object keypoint similarity of the corners (Ronchi & Perona 2017), row by row.

    Args:
        sigma: Spread of what good people say, as a share of the square root of the area that the
            second one's corners extend over.
    """
    low, high = second.min(axis=1), second.max(axis=1)
    area = np.maximum((high - low).prod(axis=1), 1.0)
    off = ((first - second) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-off / (2 * area[:, None] * (2 * sigma) ** 2)).mean(axis=1))
