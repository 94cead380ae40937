"""What a file is, by its first bytes. Its name and its declared content type prove nothing."""

import string
from enum import StrEnum

from tessera.images.refusals import Reason, Refused

HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see."""

ACCEPTED = "Accepted are JPEG, PNG, WebP and TIFF."


class Format(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    TIFF = "tiff"

    @property
    def content_type(self) -> str:
        return f"image/{self}"


_MAGIC = (
    (0, b"\xff\xd8\xff", Format.JPEG),
    (0, b"\x89PNG\r\n\x1a\n", Format.PNG),
    (8, b"WEBP", Format.WEBP),
    (0, b"II*\0", Format.TIFF),
    (0, b"MM\0*", Format.TIFF),
    (0, b"II+\0", Format.TIFF),
    (0, b"MM\0+", Format.TIFF),
)

_OTHERS = (
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"%PDF", "a PDF"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphe", "a HEIC"),
    (4, b"ftypmif1", "a HEIF"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"SIMPLE  =", "a FITS file"),
    (0, b"v/1\x01", "an OpenEXR file"),
    (0, b"#?RADIANCE", "a Radiance HDR file"),
    (128, b"DICM", "a DICOM file"),
    (0, b"\0\0\1\0", "an ICO"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
)


_NEVER_IN_TEXT = set(range(0x80)) - set(string.printable.encode())


def sniff(head: bytes) -> Format:
    """Tell the format of a file from its first `HEAD_BYTES` bytes.

    Raises:
        Refused: empty-file, unsupported-format (a known one that is not accepted), not-an-image.
    """
    if not head:
        raise Refused(Reason.EMPTY_FILE, "The file is empty: its upload may have been cut off.")
    for offset, magic, found in _MAGIC:
        if head.startswith(magic, offset):
            return found
    for offset, magic, name in _OTHERS:
        if head.startswith(magic, offset):
            raise Refused(Reason.UNSUPPORTED_FORMAT, f"The file is {name}. {ACCEPTED}")
    if b"<svg" in head:
        raise Refused(Reason.UNSUPPORTED_FORMAT, f"The file is an SVG drawing. {ACCEPTED}")
    what = "text" if _is_text(head) else "no image that is known here"
    raise Refused(Reason.NOT_AN_IMAGE, f"The file is {what}, whatever its name says. {ACCEPTED}")


def _is_text(head: bytes) -> bool:
    return not set(head) & _NEVER_IN_TEXT
