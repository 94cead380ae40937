import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from tessera.storage.disposition import attachment

HEADER = re.compile(
    r"""attachment; filename="([A-Za-z0-9 ._-]*)"; filename\*=UTF-8''([A-Za-z0-9._~%-]*)"""
)


@given(st.text(st.characters()))
def test_any_text_makes_one_line_whose_two_names_agree_where_they_can(text: str) -> None:
    parts = HEADER.fullmatch(attachment(text))
    assert parts
    plain, exact = parts[1], unquote(parts[2])
    assert len(plain) == len(exact) == len(text)
    assert all(p in (e, "_") for p, e in zip(plain, exact, strict=True))
    assert all(e in (t, "_") for e, t in zip(exact, text, strict=True))


def test_an_everyday_name_is_kept() -> None:
    name = "coins-v3 (final).coco.json"
    assert unquote(attachment(name)).endswith(f"''{name}")


def test_a_name_can_neither_leave_the_folder_nor_hide_its_ending() -> None:
    assert attachment("../a\\b\r\n\u202egpj.exe").endswith("''.._a_b___gpj.exe")
