"""World files: where the pixels of an image lie on a map, as GIS tools have it beside the image.

Six lines `a d b e c f`, which are those of `World`.
"""

from pathlib import PurePosixPath

from tessera.shapes.georeference import World


def parsed(text: str) -> World:
    """Read one.

    Raises:
        ValueError: It is none, or lays all pixels on a line.
    """
    return World.of([float(each) for each in text.split()])


def written(world: World) -> str:
    return "".join(f"{each!r}\n" for each in world)


def name_of(image: str) -> str:
    """Of the world file of an image: `a/b.jgw` of `a/b.jpg`, `.tfw` of `.tif`, `.wld` of none."""
    path = PurePosixPath(image)
    ending = path.suffix.lower().removeprefix(".")
    return str(path.with_suffix(f".{ending[0]}{ending[-1]}w" if ending else ".wld"))


def names_of(image: str) -> list[str]:
    """All that tools call it, and where our archive has it."""
    path = PurePosixPath(image)
    known = [name_of(image), f"{image}w", str(path.with_suffix(".wld"))]
    return [*known, *(f"images/{each}" for each in known)]
