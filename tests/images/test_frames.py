import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tessera.images.decoder.turning import turned
from tessera.images.frames import Upright, window_in_file
from tessera.images.tiling import Rect

sides = st.integers(1, 12)


@given(st.integers(1, 8), sides, sides, st.data())
def test_a_window_shows_what_an_independent_reader_sees_there(
    orientation: int, width: int, height: int, data: st.DataObject
) -> None:
    stored = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    seen = np.asarray(ImageOps.exif_transpose(picture))
    upright = Upright(orientation, width, height)
    assert upright.size == (seen.shape[1], seen.shape[0])

    left, top = (data.draw(st.integers(0, side - 1)) for side in upright.size)
    right = data.draw(st.integers(left + 1, upright.size[0]))
    bottom = data.draw(st.integers(top + 1, upright.size[1]))
    there = window_in_file(Rect(left, top, right, bottom), upright)
    cut = stored[there.top : there.bottom, there.left : there.right, None]
    shown = turned(cut, orientation)[..., 0]
    assert np.array_equal(shown, seen[top:bottom, left:right])
