"""World files are what GIS tools take them for."""

import pytest
from hypothesis import given

from tessera.formats import world_files
from tessera.shapes.georeference import PIXELS, World
from tests.shapes.test_georeference import worlds


@given(worlds())
def test_what_is_written_is_parsed(world: World) -> None:
    assert world_files.parsed(world_files.written(world)) == world


def test_the_middle_of_the_first_pixel_is_where_the_last_two_lines_say() -> None:
    world = world_files.parsed("0.5\r\n0\r\n0\r\n-0.5\r\n1000\r\n2000\r\n")
    assert world.on_map([[0.5, 0.5], [1.5, 2.5]]).tolist() == [[1000, 2000], [1000.5, 1999]]
    assert world_files.written(PIXELS) == "1.0\n0.0\n0.0\n1.0\n0.5\n0.5\n"


@pytest.mark.parametrize(
    "text",
    [
        *("", "1 0 0 1 0", "1 0 0 1 0 0 0", "1 0 0 x 0 0", "1 0 0 nan 0 0", "1 0 0 1e999 0 0"),
        *("0 0 0 0 0 0", "1 1 1 1 0 0", "1 0 0 0 0 0", "1e300 0 1e300 1e-300 0 0"),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|could not"):
        world_files.parsed(text)


def test_they_are_called_after_their_images() -> None:
    names = ["a/b.jpg", "b.c.TIF", "c.jpeg", "d", "e.png"]
    assert [world_files.name_of(each) for each in names] == [
        *("a/b.jgw", "b.c.tfw", "c.jgw", "d.wld", "e.pgw"),
    ]
    assert "images/a/b.jgw" in world_files.names_of("a/b.jpg")
    assert "a/b.jpgw" in world_files.names_of("a/b.jpg")
