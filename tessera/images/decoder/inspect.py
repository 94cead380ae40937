"""Check one file and say what it is: `python -m tessera.images.decoder.inspect`.

Every pixel is decoded once and thrown away. That costs as much as decoding does, and buys that
a file which is cut off or damaged is refused before the first of its tiles exists.
"""

import os
from pathlib import Path

import pyvips

from tessera.images.decoder import colour, geotiff, opening
from tessera.images.decoder.parent import Parent, serve
from tessera.images.refusals import Limits


def inspect(parent: Parent) -> None:
    path = Path(parent.request["path"])
    opened, image = opening.open_image(path, Limits(**parent.request["limits"]))
    image.set_progress(True)
    image.signal_connect("eval", lambda _, progress: parent.say(percent=progress.percent))
    try:
        colour.to_srgb(image)  # not run; but whether it can be is known before slicing
        with Path(os.devnull).open("wb") as nowhere:
            image.rawsave_target(pyvips.Target.new_to_descriptor(nowhere.fileno()))
    except pyvips.Error as error:
        raise opened.refusal(error) from None
    upright = opened.upright
    found = geotiff.georeference(opened.format, opened.file, upright.orientation)
    width, height = upright.size
    parent.say(
        facts={
            "format": opened.format,
            "width": width,
            "height": height,
            "stored_width": upright.width,
            "stored_height": upright.height,
            "orientation": upright.orientation,
            "size": path.stat().st_size,
            "georeference": None if found is None else found.as_json(),
        }
    )


if __name__ == "__main__":
    serve(inspect)
