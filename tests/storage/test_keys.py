import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.storage import keys

ids = st.uuids()
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
extensions = st.sampled_from(keys.Extension)
every_key = st.one_of(
    st.builds(keys.upload, ids, ids),
    st.builds(keys.original, ids, ids, hashes),
    st.builds(keys.tile, ids, hashes, extensions),
    st.builds(keys.thumbnail, ids, ids, hashes, extensions),
    st.builds(
        keys.dataset, ids, hashes, st.sampled_from(["manifest.json", "coco_train.json", "yolo.tar"])
    ),
    st.builds(keys.import_file, ids, ids),
)
PLAIN = re.compile(r"[a-z]+(/[a-z0-9._-]+){2,3}")


@given(every_key)
def test_a_key_is_short_and_plain_and_names_its_owner(key: str) -> None:
    assert PLAIN.fullmatch(key)
    assert ".." not in key
    assert len(key) < 200
    UUID(key.split("/")[1])


@given(every_key, every_key)
def test_no_key_lies_below_another(one: str, other: str) -> None:
    assert not other.startswith(f"{one}/")


@given(ids, ids, hashes, hashes)
def test_what_differs_in_owner_or_content_differs_in_key(
    one: UUID, other: UUID, first: str, second: str
) -> None:
    owners, hashes = {one, other}, {first, second}
    made = {
        keys.original(project, image, sha)
        for project in owners
        for image in owners
        for sha in hashes
    }
    assert len(made) == len(owners) ** 2 * len(hashes)


@given(ids, ids, hashes, extensions)
def test_an_image_finds_its_own_original_and_thumbnail_by_their_beginnings(
    project: UUID, image: UUID, sha256: str, extension: keys.Extension
) -> None:
    assert keys.original(project, image, sha256).startswith(keys.originals(project, image))
    thumbnail = keys.thumbnail(project, image, sha256, extension)
    assert thumbnail.startswith(keys.thumbnails(project, image))


@given(st.text().filter(lambda text: text not in {*keys.Extension}))
def test_text_is_no_id_no_hash_and_no_extension(text: str) -> None:
    project, sha256 = uuid4(), "0" * 64
    attempts: list[Callable[[], str]] = [
        lambda: keys.upload(text, project),  # type: ignore[arg-type]
        lambda: keys.import_file(project, text),  # type: ignore[arg-type]
        lambda: keys.original(project, project, text),
        lambda: keys.original(project, text, sha256),  # type: ignore[arg-type]
        lambda: keys.tile(project, sha256, text),
        lambda: keys.dataset(project, text, "coco.json"),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError):  # noqa: PT011 - three sources, one meaning
            attempt()


@pytest.mark.parametrize("wrong", ["", "coco", "../coco.json", "a/b.json", ".json", "Ä.json"])
def test_a_file_of_a_dataset_has_a_plain_name(wrong: str) -> None:
    with pytest.raises(ValueError, match="file of a dataset"):
        keys.dataset(uuid4(), "0" * 64, wrong)


@pytest.mark.parametrize("wrong", ["A" * 64, "0" * 63, "0" * 64 + "\n", "g" * 64, "../" + "0" * 61])
def test_only_a_whole_lower_case_sha256_names_content(wrong: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        keys.original(uuid4(), uuid4(), wrong)
