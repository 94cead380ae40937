"""Cut one window out of a file, and mirror it if asked to: `python -m tessera.images.decoder.view`.

It goes the same way as tiles do, so that the same window has the same bytes.
"""

import hashlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pyvips

from tessera.images.decoder import colour, opening
from tessera.images.decoder.encode import Pixels, encode
from tessera.images.decoder.parent import Parent, serve
from tessera.images.decoder.strips import strips
from tessera.images.decoder.turning import turned
from tessera.images.frames import window_in_file
from tessera.images.policy import TileFormat
from tessera.images.refusals import Limits, Reason, Refused
from tessera.images.tiling import Rect


def view(parent: Parent) -> None:
    request = parent.request
    opened, image = opening.open_image(Path(request["path"]), Limits(**request["limits"]))
    if list(opened.upright) != request["upright"]:
        raise Refused(Reason.CORRUPT, "The file is not the one that was checked.")
    try:
        stored = _pixels(
            colour.to_srgb(image), window_in_file(Rect(*request["window"]), opened.upright), parent
        )
    except pyvips.Error as error:
        raise opened.refusal(error) from None
    seen = turned(stored, opened.upright.orientation)
    if request["mirror"]:
        seen = seen[:, ::-1]
    content = encode(np.ascontiguousarray(seen), TileFormat(request["format"]), request["quality"])
    Path(request["into"]).write_bytes(content)
    parent.say(done=True, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def _pixels(image: pyvips.Image, window: Rect, parent: Parent) -> Pixels:
    """Of a window of the stored rows and columns; what lies below it is not read."""
    parts = []
    with closing(strips(image)) as stored:
        for strip in stored:
            top, bottom = max(window.top - strip.top, 0), max(window.bottom - strip.top, 0)
            # a copy, or each strip would stay in memory as a whole
            parts.append(strip.pixels[top:bottom, window.left : window.right].copy())
            parent.say(rows=strip.bottom)
            if strip.bottom >= window.bottom:
                break
    return np.concatenate(parts)


if __name__ == "__main__":
    serve(view)
