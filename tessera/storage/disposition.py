"""The Content-Disposition header that makes a browser save a file under a person's name for it."""

import re
import unicodedata
from urllib.parse import quote

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._-]")


def attachment(file_name: str) -> str:
    """`attachment` with a plain name for every client and the exact one for those that read it.

    The exact name loses only path separators and characters that control how text is shown.

    Args:
        file_name: Any text, trusted or not.

    Returns:
        Printable ASCII on one line.

    Source:
        RFC 6266, section 4.3 and appendix D; RFC 8187, section 3.2.
    """
    exact = "".join("_" if _is_unsafe(character) else character for character in file_name)
    plain = _NOT_PLAIN.sub("_", exact)
    encoded = quote(exact, safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _is_unsafe(character: str) -> bool:
    return character in "/\\" or unicodedata.category(character).startswith("C")
