"""The pixels of an image, decoded once from the first row to the last."""

import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyvips

from tessera.images.decoder.encode import Pixels

STRIP = 128
"""Rows of a strip: few beside a tile, and a multiple of the blocks thumbnails are made of."""
BUFFER_BYTES = 2**20


class Strip(NamedTuple):
    """Some whole rows. Pixels have the shape (rows, width, 3)."""

    top: int
    pixels: Pixels

    @property
    def bottom(self) -> int:
        return self.top + len(self.pixels)


def strips(image: pyvips.Image, rows: int = STRIP) -> Generator[Strip, None, None]:
    """All rows of an sRGB image, so many at a time, while libvips decodes the next ones.

    The image goes through libvips in one run, into a socket. Asked for one crop after the
    other, libvips drops the rows between two runs that the decoder cannot go back to, and
    refuses TIFFs whose strips end elsewhere than ours.

    Raises:
        pyvips.Error: The pixels cannot be read. Strips before the fault were given out.
    """
    reading, writing = socket.socketpair()
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    # if we stop early, the sockets are closed first, and that ends the thread
    with ThreadPoolExecutor(1) as decoder, reading, writing:
        decoding = decoder.submit(_decode, image, writing)
        for top in range(0, image.height, rows):
            pixels = np.empty((min(rows, image.height - top), image.width, 3), np.uint8)
            if reading.recv_into(pixels.data.cast("B"), 0, socket.MSG_WAITALL) < pixels.nbytes:
                break
            yield Strip(top, pixels)
        decoding.result()


def _decode(image: pyvips.Image, writing: socket.socket) -> None:
    try:
        image.rawsave_target(pyvips.Target.new_to_descriptor(writing.fileno()))
    finally:
        # not close: libvips has copies of the descriptor, for as long as an error lives
        writing.shutdown(socket.SHUT_WR)
