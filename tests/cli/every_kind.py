"""Some objects of each kind on an image of 700 x 500 pixels: small, large, and on its seams."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.shapes import rle

Pixels = NDArray[np.bool_]
WIDTH, HEIGHT = 700, 500
CAMERA = [[700.0, 0.0, 350.0, 0.0], [0.0, 700.0, 250.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
OCCLUDED = {"name": "occluded", "values": ["yes", "no"]}
SKELETON = {"points": [{"name": each} for each in ("head", "left foot", "right foot")]}


def _ellipse(x: int, y: int, across: int, down: int) -> Pixels:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pixels: Pixels = ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1
    return pixels


def _mask(pixels: Pixels) -> dict[str, Any]:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    part = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return {
        "left": int(columns[0]),
        "top": int(rows[0]),
        "size": list(part.shape),
        "counts": rle.to_string(rle.encode(part)),
    }


def _front_and_rear(x: float, y: float, side: float) -> list[list[float]]:
    front = [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    return front + [[a + 12, b - 8] for a, b in front]


PLACES: dict[str, list[dict[str, Any]]] = {
    "box": [{"box": [10, 10, 40, 30]}, {"box": [180, 190, 260, 250]}, {"box": [60, 300, 690, 420]}],
    "rotated": [
        {"box": [20, 20, 60, 40, 10.0]},
        {"box": [180, 180, 260, 240, -20.0]},
        {"box": [400, 100, 470, 180, 30.0]},
    ],
    "classify": [{}],
    "cuboid": [{"cuboid": _front_and_rear(*each)} for each in ((20, 20, 30), (200, 190, 80))],
    "solid": [
        {"solid": {"centre": [x, 0.5, z], "size": [2.0, 1.5, 1.6], "yaw": 0.4}}
        for x, z in ((-3, 9), (0, 12), (4, 20))
    ],
    "instance_mask": [
        {"mask": _mask(_ellipse(*each))}
        for each in ((30, 30, 20, 12), (220, 220, 50, 30), (400, 380, 280, 70))
    ],
    "semantic_mask": [
        {"mask": _mask(_ellipse(220, 220, 150, 90))},
        {"mask": _mask(_ellipse(400, 400, 280, 60))},
    ],
    "keypoints": [
        {"points": [[30, 20, 2], [20, 60, 2], [40, 60, 1]]},
        {"points": [[220, 190, 2], [200, 250, 2], [240, 250, 2]]},
        {"points": [[600, 300, 2], [590, 340, 2], [0, 0, 0]]},
    ],
    "polygon": [
        {"polygon": [[[[10, 10], [60, 15], [40, 50]]]]},
        {
            "polygon": [
                [
                    [[150, 150], [320, 170], [300, 280], [160, 260]],
                    [[200, 200], [240, 200], [220, 230]],
                ]
            ]
        },
        {"polygon": [[[[60, 330], [690, 300], [680, 460], [70, 420]]]]},
    ],
    "polyline": [
        {"line": [[10, 10], [60, 20], [90, 60]]},
        {"line": [[20, 250], [300, 260], [690, 240]]},
    ],
}
"""By kind, and of two that are sorts of one."""
SORTS = {"rotated": "box", "solid": "cuboid"}


def schema(sort: str) -> dict[str, Any]:
    skeleton = {"skeleton": SKELETON} if sort == "keypoints" else {}
    classes = [
        {"id": 3, "name": "cup", "colour": "#e6194b", "attributes": [OCCLUDED], **skeleton},
        {"id": 5, "name": "cat", "colour": "#3cb44b", **skeleton},
    ]
    options: dict[str, dict[str, Any]] = {"rotated": {"rotated": True}, "solid": {"camera": CAMERA}}
    return {"classes": classes, **options.get(sort, {})}


def record(sort: str, name: str) -> dict[str, Any]:
    """The image as a line of JSON Lines."""
    return {
        "name": name,
        "width": WIDTH,
        "height": HEIGHT,
        "objects": [
            {
                "class_id": (3, 5)[number % 2],
                "place": place,
                "attributes": {} if number % 2 else {"occluded": "yes"},
                "confidence": 0.75 + number / 8,
            }
            for number, place in enumerate(PLACES[sort])
        ],
    }
