"""The classify project's pictures."""

from collections import Counter

import pytest
import pyvips

from demo import photos, truth


def test_there_are_forty_different_pictures_of_every_class() -> None:
    pictures = photos.singles(seed=1)
    assert len(pictures) >= 40
    assert len({picture.jpeg for picture in pictures}) == len(pictures)
    assert len({picture.file_name for picture in pictures}) == len(pictures)
    shown = Counter(picture.class_id for picture in pictures)
    assert set(shown) == {entry["id"] for entry in truth.classes()["classes"]}
    assert min(shown.values()) >= 3


@pytest.mark.long
def test_the_same_seed_makes_the_same_pictures() -> None:
    assert photos.singles(seed=1) == photos.singles(seed=1)
    assert photos.singles(seed=1) != photos.singles(seed=2)


def test_pictures_are_of_a_size_a_person_can_judge() -> None:
    for picture in photos.singles(seed=1):
        image = pyvips.Image.new_from_buffer(picture.jpeg, "")
        assert image.bands == 3
        assert (image.width, image.height) == (picture.width, picture.height)
        assert 399 <= max(image.width, image.height) <= 901


def test_a_subject_lies_inside_its_photograph() -> None:
    for subject in truth.subjects():
        image = photos.open_rgb(subject.photo)
        left, top, right, bottom = subject.box
        assert 0 <= left < right <= image.width
        assert 0 <= top < bottom <= image.height
