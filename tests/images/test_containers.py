from io import BytesIO
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tifffile import imwrite

from tessera.images.decoder.containers import (
    Broken,
    extra_is_alpha,
    frames,
    is_cut_off,
    unreadable_colours,
)
from tessera.images.formats import Format
from tests.images.pictures import png, scene


def tiff(*, big: bool, order: Literal["<", ">"]) -> bytes:
    buffer = BytesIO()
    imwrite(
        buffer, scene(40, 30), photometric="rgb", bigtiff=big, byteorder=order, rowsperstrip=4
    )  # fmt: skip
    return buffer.getvalue()


def webp() -> bytes:
    buffer = BytesIO()
    Image.fromarray(scene(40, 30)).save(buffer, "webp")
    return buffer.getvalue()


FILES = [
    (Format.TIFF, tiff(big=False, order="<")),
    (Format.TIFF, tiff(big=True, order=">")),
    (Format.PNG, png(40, 30, (b"acTL", b"\0\0\0\1\0\0\0\0"), rows=[bytes(40)] * 30)),
    (Format.WEBP, webp()),
]


@pytest.mark.parametrize(("kind", "content"), FILES)
def test_an_unharmed_file_has_one_frame_and_all_its_bytes(kind: Format, content: bytes) -> None:
    assert frames(kind, BytesIO(content)) == 1
    assert not is_cut_off(kind, BytesIO(content))
    assert is_cut_off(kind, BytesIO(content[: len(content) // 2]))


@pytest.mark.parametrize(("extra", "alpha"), [("assocalpha", True), ("unspecified", False)])
def test_only_transparency_is_called_so(extra: str, alpha: bool) -> None:  # noqa: FBT001
    buffer = BytesIO()
    imwrite(buffer, np.zeros((9, 9, 4), np.uint8), photometric="rgb", extrasamples=[extra])
    assert extra_is_alpha(Format.TIFF, buffer) is alpha


def test_a_directory_that_leads_to_itself_is_no_endless_walk() -> None:
    circle = b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0"
    with pytest.raises(Broken):
        frames(Format.TIFF, BytesIO(circle))


@given(st.sampled_from(FILES), st.data())
def test_whatever_was_done_to_a_file_its_tables_are_read_or_called_broken(
    file: tuple[Format, bytes], data: st.DataObject
) -> None:
    kind, content = file
    harmed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 8))):
        # tables are short and near the start or the end
        place = data.draw(st.integers(4, 400) | st.integers(0, len(content) - 1))
        harmed[min(place, len(harmed) - 1)] = data.draw(st.sampled_from([0, 1, 127, 128, 254, 255]))
    harmed = harmed[: data.draw(st.integers(12, len(harmed)))]
    for ask in (frames, extra_is_alpha, unreadable_colours, is_cut_off):
        try:
            ask(kind, BytesIO(harmed))
        except Broken:
            continue
