"""JSON read piece by piece is what the standard library makes of the whole."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats import json_stream
from tessera.formats.errors import BadFile

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
documents = st.dictionaries(st.text(max_size=9), values | st.lists(values, max_size=6))


class Dripping(io.BytesIO):
    """A few bytes at a time, whatever is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        del size
        return super().read(3)


def whole(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, number, value in json_stream.members(Dripping(content), "a.json"):
        if number is None:
            found[name] = value
        else:
            assert number == len(found[name])
            found[name].append(value)
    return found


@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_pieces_make_up_the_whole(document: Any, ascii_: bool, indent: int | None) -> None:  # noqa: FBT001
    content = json.dumps(document, ensure_ascii=ascii_, indent=indent).encode(
        errors="surrogatepass"
    )
    assert whole(content) == document


@given(st.binary(max_size=40) | st.text('{}[],:"\\ae1-.N', max_size=40).map(str.encode))
def test_anything_is_what_the_library_makes_of_it_or_a_bad_file(content: bytes) -> None:
    try:
        expected = json.loads(content)
    except (ValueError, RecursionError):
        expected = None
    try:
        found = whole(content)
    except BadFile:
        assert not isinstance(expected, dict) or content.count(b'"') > len(expected) * 2
    else:
        assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "a.json: cannot be read as JSON: has 'its end'"),
        (b"[1]", r"a\.json: .* it is a list"),
        (b'{"a":[1,2,', r"a: cannot|a\.json: a\[2\]: .*"),
        (b'{"a":[1,x]}', r"a\.json: a\[1\]: .*Expecting value"),
        (b'{"a":[1 2]}', r"a\.json: a\[0\]: .* has '2' where , or \]"),
        (b'{"a":1,"a":2}', "there twice"),
        (b'{"a":1}}', "after its end"),
        (b'{"a":["\xff"]}', "not UTF-8"),
        (b'{"a":[%s]}' % (b"[" * 100_000), r"a\[0\]: .*nested too deeply"),
        (b'{"a":[%s]}' % (b"9" * 9_999), r"a\[0\]: .*digits"),
    ],
)
def test_what_is_none_is_told_by_its_element(content: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why):
        list(json_stream.members(io.BytesIO(content), "a.json"))


def test_an_element_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MOST_LETTERS", 999)
    with pytest.raises(BadFile, match="no end of it"):
        whole(b'{"a":["' + b"x" * 2_000 + b'"]}')


def test_an_image_may_be_longer_than_what_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MOST_LETTERS", 2**20)
    monkeypatch.setattr(json_stream, "MOST_OF_IMAGE", 3 * 2**20)
    two, four = (b'["' + b"x" * (n * 2**20) + b'"]' for n in (2, 4))
    assert len(list(json_stream.elements(io.BytesIO(two), "a.json"))) == 1
    assert len(list(json_stream.members(io.BytesIO(b'{"a":%s}' % two), "a", images=True))) == 2
    with pytest.raises(BadFile, match="no end of it within 1 MB; divide it"):
        list(json_stream.members(io.BytesIO(b'{"a":%s}' % two), "a.json"))
    with pytest.raises(BadFile, match=r"\[0\]: .* within 3 MB; send COCO, which is read object by"):
        list(json_stream.elements(io.BytesIO(four), "a.json"))


def test_of_an_image_what_is_no_number_is_nothing() -> None:
    content = b'[{"a":NaN,"b":[-Infinity,1]}]'
    assert list(json_stream.elements(io.BytesIO(content), "")) == [(0, {"a": None, "b": [None, 1]})]


def listed(content: bytes) -> list[Any]:
    found = list(json_stream.elements(Dripping(content), "a.json"))
    assert [number for number, _ in found] == [*range(len(found))]
    return [value for _, value in found]


@given(st.lists(values, max_size=6), st.sampled_from([None, 1]))
def test_a_list_comes_element_by_element(document: list[Any], indent: int | None) -> None:
    text = json.dumps(document, indent=indent)
    assert listed(text.encode()) == json.loads(text, parse_constant=lambda _: None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", r"a\.json: .* it is no list"),
        (b'{"a":1}', r"a\.json: .* it is no list"),
        (b"[1,2,", r"a\.json: \[2\]: cannot"),
        (b"[1,x]", r"a\.json: \[1\]: .*Expecting value"),
        (b"[1]]", r"a\.json: .* after its end"),
    ],
)
def test_a_list_that_is_none_is_told_by_its_element(content: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why):
        listed(content)
