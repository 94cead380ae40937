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
from tessera.images.skipping import Skip, shown
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
        files, odd = archive.files()
        assert all(fault is Skip.REPEATED or name not in files for name, fault in odd)
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


@pytest.mark.parametrize("name", ["../a.jpg", "/../../a.jpg", "b/../../a.jpg", "a.jpg\0.txt"])
def test_names_that_no_image_can_have_are_told(tmp_path: Path, name: str) -> None:
    data = zipped(("a.jpg?.txt", b"x")).replace(b"?", b"\0") if "\0" in name else None
    (tmp_path / "zip").write_bytes(data or zipped((name, b"x")))
    with closing(Archive(tmp_path / "zip")) as packed:
        assert packed.files() == ({}, [(name, Skip.BAD_NAME)])


def test_what_a_system_packs_with_the_files_is_nothing_to_tell(tmp_path: Path) -> None:
    litter = ["a/", "__MACOSX/a/._b.jpg", "a/.DS_Store", "a/Thumbs.db", "desktop.ini"]
    (tmp_path / "zip").write_bytes(zipped(*((name, b"") for name in litter), ("./a/b.jpg", b"x")))
    with closing(Archive(tmp_path / "zip")) as packed:
        files, odd = packed.files()
    assert (list(files), odd) == (["a/b.jpg"], [])


def test_a_name_of_any_letters_and_length_can_be_shown() -> None:
    assert shown("é\0\ud800.jpg") == "é\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.jpg"
    assert shown("n" * LONGEST_NAME) == "n" * LONGEST_NAME
    assert shown("n" * 60_000) == "n" * (LONGEST_NAME - 1) + "…"


def test_a_full_disk_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "zip"
    path.write_bytes(zipped(("a.jpg", b"\0" * 2**20)))
    packed = Archive(path)
    files, _ = packed.files()
    with closing(packed), pytest.raises(OSError, match="No space left"):
        packed.extract(files["a.jpg"], Path("/dev/full"), max_bytes=2**20)
