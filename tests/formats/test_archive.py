"""Archives as people send them: nothing in one is followed, and nothing leads out of it."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats.archive import unpacked
from tessera.formats.errors import BadFile
from tests.formats import some_records

CONTENTS = {"a/b.json": b"{}", "c é.txt": b"text" * 50_000, "d": b""}


def tar(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as out:
        for each in entries:
            out.addfile(each, io.BytesIO(b"x" * each.size))
    return path


def entry(name: str, type_: bytes = tarfile.REGTYPE, *, size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = type_, size, "/etc/passwd"
    return made


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members:
            out.writestr(name, content)
    return path


def packed_tar(path: Path) -> Path:
    with tarfile.open(path, "w") as out:
        for name, content in CONTENTS.items():
            made = entry(f"./{name}", size=len(content))
            out.addfile(made, io.BytesIO(content))
        out.addfile(entry("a", tarfile.DIRTYPE))
    return path


def packed_zip(path: Path) -> Path:
    return zipped(path, *CONTENTS.items(), ("a/", b""))


@pytest.mark.parametrize("pack", [packed_tar, packed_zip])
def test_what_is_in_it_is_read_from_any_place(tmp_path: Path, pack: Callable[[Path], Path]) -> None:
    with unpacked(pack(tmp_path / "any")) as files:
        assert list(files.names()) == sorted(CONTENTS)
        for name, content in CONTENTS.items():
            with files.open(name) as file, files.open(name) as other:
                assert other.read(3) == content[:3]
                assert (file.read(), file.seek(0, 2)) == (content, len(content))
                file.seek(1)
                assert file.read(4) == content[1:5]
        assert not files.has("e")
        with pytest.raises(FileNotFoundError):
            files.open("e")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (entry("../a"), "leads out"),
        (entry("a/../../b"), "leads out"),
        (entry("/etc/passwd"), "leads out"),
        (entry("fine.json"), "is there twice"),
        (entry("./fine.json"), "is there twice"),
        (entry("a", tarfile.SYMTYPE), "is a link"),
        (entry("a", tarfile.LNKTYPE), "is a link"),
        (entry("a", tarfile.CHRTYPE), "is no plain file"),
        (entry("a", tarfile.FIFOTYPE), "is no plain file"),
    ],
)
def test_a_tar_with_what_is_no_file_of_its_own(
    tmp_path: Path, made: tarfile.TarInfo, why: str
) -> None:
    path = tar(tmp_path / "a.tar", entry("fine.json"), made)
    with pytest.raises(BadFile, match=rf"a\.tar: {made.name}: {why}"), unpacked(path):
        pass


def linked() -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("link")
    made.create_system, made.external_attr = 3, 0o120777 << 16
    return made


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("../a", b"", "leads out"),
        ("/etc/passwd", b"", "leads out"),
        ("./fine.json", b"", "is there twice"),
        ("a\\b.json", b"", "has a backslash"),
        (linked(), b"/etc/passwd", "is a link"),
        ("bomb", bytes(2**26), "times its size"),
    ],
)
def test_a_zip_with_what_is_no_file_of_its_own(
    tmp_path: Path, name: str | zipfile.ZipInfo, content: bytes, why: str
) -> None:
    path = zipped(tmp_path / "a.zip", ("fine.json", b"{}"), (name, content))
    with pytest.raises(BadFile, match=why), unpacked(path):
        pass


@pytest.mark.parametrize("content", [b"", b"text" * 1000, b"PK\x05\x06", b"\x1f\x8b" + bytes(600)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(BadFile, match=r"a\.tar: is neither"), unpacked(tmp_path / "a.tar"):
        pass


def three(folder: Path) -> tuple[Path, bytearray]:
    """A tar of three files of a block each, so that headers are at 0, 1024, and 2048."""
    path = tar(folder / "a.tar", *(entry(name, size=9) for name in "abc"))
    return path, bytearray(path.read_bytes())


@pytest.mark.parametrize(
    ("place", "after"), [(1024 + 5, "a"), (1024 + 150, "a"), (2048, "b"), (3072, "c"), (9999, "c")]
)
def test_nothing_is_lost_behind_a_damaged_header_of_a_tar(
    tmp_path: Path, place: int, after: str
) -> None:
    path, content = three(tmp_path)
    content[place] ^= 0xFF
    path.write_bytes(content)
    at = min(place // 1024 * 1024, 3072)
    with pytest.raises(BadFile, match=rf"a\.tar: .*at byte {at:,}, after {after}"), unpacked(path):
        pass


@pytest.mark.parametrize("length", [1024, 2048 + 100, 3072])
def test_a_tar_that_ends_without_an_end(tmp_path: Path, length: int) -> None:
    path, content = three(tmp_path)
    path.write_bytes(content[:length])
    with pytest.raises(BadFile, match=r"cut off at byte"), unpacked(path):
        pass


def test_one_tar_behind_another(tmp_path: Path) -> None:
    path, content = three(tmp_path)
    path.write_bytes(content * 2)
    with pytest.raises(BadFile, match=r"at byte 3,072, after c"), unpacked(path):
        pass


def extended(headers: dict[str, str]) -> tarfile.TarInfo:
    made = entry("a")
    made.pax_headers = headers
    return made


@pytest.mark.parametrize("order", [1, -1], ids=["first", "later"])
@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "abc,def"},
        {"GNU.sparse.map": "1,2", "GNU.sparse.size": "x"},
        {"GNU.sparse.size": "x"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
        {"size": "-1"},
        {"size": "-1536", "path": ".DS_Store"},
        {"path": "../a"},
    ],
)
def test_extended_headers_that_say_nonsense(
    tmp_path: Path, headers: dict[str, str], order: int
) -> None:
    path = tar(tmp_path / "a.tar", *[extended(headers), entry("fine.json")][::order])
    with pytest.raises(BadFile, match=r"a\.tar: "), unpacked(path):
        pass


def test_headers_that_extend_each_other_without_end(tmp_path: Path) -> None:
    header = entry("a", tarfile.XHDTYPE).tobuf()
    (tmp_path / "a.tar").write_bytes(header * 2_000 + bytes(1024))
    with pytest.raises(BadFile, match="is damaged"), unpacked(tmp_path / "a.tar"):
        pass


def test_a_tar_that_is_cut_off(tmp_path: Path) -> None:
    content = tar(tmp_path / "a.tar", entry("a", size=10_000)).read_bytes()
    (tmp_path / "a.tar").write_bytes(content[:5_000])
    with pytest.raises(BadFile, match=r"is cut off|is damaged"), unpacked(tmp_path / "a.tar"):
        pass


@given(st.data(), st.sampled_from([packed_tar, packed_zip]))
def test_a_damaged_archive_is_read_or_a_bad_file(
    data: st.DataObject, pack: Callable[[Path], Path]
) -> None:
    with some_records.a_folder() as folder:
        content = bytearray(pack(folder / "any").read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        (folder / "any").write_bytes(content)
        try:
            with unpacked(folder / "any") as files:
                for name in files.names():
                    with files.open(name) as file:
                        file.read()
        except BadFile:
            pass
