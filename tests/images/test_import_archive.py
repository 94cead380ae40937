"""Reading zips that were made to hurt."""

import io
import struct
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera.formats.names import LONGEST_NAME
from tessera.images.archive import Archive, BadArchive
from tests.seeds import examples

MOST = 10**6


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files:
            packed.writestr(name, data)
    return out.getvalue()


GOOD = zipped(("a.jpg", b"a" * 3000), ("b/é.jpg", bytes(range(256)) * 4), ("c", b""))


def unpacked(path: Path, data: bytes) -> dict[str, bytes | str]:
    """What comes out: by name, the bytes or the reason why there are none."""
    path.write_bytes(data)
    archive = Archive(path)
    try:
        files, seen = archive.files()
        assert len(files) <= seen
        return {name: _out(archive, entry, path.parent) for name, entry in files.items()}
    finally:
        archive.close()


def _out(archive: Archive, entry: zipfile.ZipInfo, folder: Path) -> bytes | str:
    try:
        archive.extract(entry, folder / "out", max_bytes=MOST)
    except BadArchive as refused:
        return refused.reason
    return (folder / "out").read_bytes()


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    assert unpacked(tmp_path / "zip", GOOD) == {
        "a.jpg": b"a" * 3000,
        "b/é.jpg": bytes(range(256)) * 4,
        "c": b"",
    }


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, len(GOOD)) | st.none(),
)
def test_a_damaged_zip_gives_reasons_and_nothing_else(
    tmp_path: Path, changes: Sequence[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(GOOD)
    for place, byte in changes:
        data[place] = byte
    try:
        found = unpacked(tmp_path / "zip", bytes(data[:cut]))
    except BadArchive:
        return
    for name, content in found.items():
        assert 0 < len(name) <= LONGEST_NAME
        assert isinstance(content, bytes) or content in {
            "corrupt",
            "encrypted",
            "unsupported-compression",
            "too-many-bytes",
        }


def test_a_file_that_claims_to_be_small_does_not_become_large(tmp_path: Path) -> None:
    data = zipped(("a.jpg", b"\0" * MOST))
    size = struct.pack("<I", MOST)
    assert data.count(size) == 2
    liar = data.replace(size, struct.pack("<I", 100))
    assert unpacked(tmp_path / "zip", liar) == {"a.jpg": "corrupt"}
    assert (tmp_path / "out").stat().st_size <= 100


def test_a_file_that_claims_to_be_large_is_not_begun(tmp_path: Path) -> None:
    data = zipped(("a.jpg", b"\0" * (MOST + 1)))
    assert unpacked(tmp_path / "zip", data) == {"a.jpg": "too-many-bytes"}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../a.jpg", "/../../a.jpg", "b/../../a.jpg"])
def test_names_that_climb_are_passed_over(tmp_path: Path, name: str) -> None:
    assert unpacked(tmp_path / "zip", zipped((name, b"x"))) == {}


def test_a_full_disk_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "zip"
    path.write_bytes(zipped(("a.jpg", b"\0" * 2**20)))
    packed = Archive(path)
    files, _ = packed.files()
    with closing(packed), pytest.raises(OSError, match="No space left"):
        packed.extract(files["a.jpg"], Path("/dev/full"), max_bytes=2**20)
