"""DagsHub's converter reads poses of YOLO, Datumaro folders of classes."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from tessera.formats import yolo
from tests.formats import some_records
from tests.formats.some_records import Case
from tests.formats.test_yolo import flat, kept, with_pictures


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of its own code
@some_records.BY_OTHERS
@given(flat("keypoints"))
def test_the_converter_of_dagshub_reads_every_pose(case: Case) -> None:
    dataset, records = case
    reader = import_module("dagshub_annotation_converter.converters.yolo")
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(yolo, case, folder))
        with_pictures(root, case)
        context = reader.YoloContext.from_yaml_file(root / "data.yaml", "pose")
        context.path = root
        read = reader.load_yolo_from_fs_with_context(context)
    paths = {f"images/{each.split or 'train'}/{each.name}": each for each in records}
    assert read.keys() == paths.keys()
    for path, image in paths.items():
        size = np.array([image.width, image.height])
        for pose, each in zip(read[path], kept(image), strict=True):
            assert pose.categories == {some_records.named(dataset, each): 1}
            right, bottom = pose.left + pose.width, pose.top + pose.height
            edges = [pose.left, pose.top, right, bottom] * np.tile(size, 2)
            points = np.array(each.place["points"])
            there = points[points[:, 2] > 0, :2]
            around = [*there.min(axis=0), *there.max(axis=0)]
            np.testing.assert_allclose(edges, around, atol=1e-5)
            drawn = [(one.x, one.y) for one in pose.points[: len(points)]] * size
            np.testing.assert_allclose(drawn, points[:, :2], atol=1e-5)
            # it takes a point that is labelled but hidden for the one that is seen
            assert [one.visible for one in pose.points[: len(points)]] == [*(points[:, 2] == 1)]
            assert len(pose.points) == context.keypoints_in_annotation


# to Datumaro a letter before a colon, which it puts after the folder's name, is a drive
folders_of_classes = some_records.datasets(
    "classify",
    class_names=some_records.names.filter(lambda name: len(name) > 1),
    endings=("jpg",),
    folders=("",),
)


@some_records.BY_OTHERS
@given(folders_of_classes)
def test_datumaro_reads_every_folder_of_a_class(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        picture = folder / "of the operator.jpg"
        Image.new("RGB", (4, 3)).save(picture)
        (folder / "made").mkdir()
        asked = replace(dataset, pictures=True), records
        root = some_records.extracted(some_records.written(yolo, asked, folder / "made", picture))
        lines = [line.split("\t") for line in (root / "classes.txt").read_text().splitlines()]
        found = []
        for split in {each.split or "train" for each in records if each.objects}:
            labels, items = some_records.opened(root / split, "imagenet")
            for item in items:
                (drawn,) = item.annotations
                found.append((split, labels[drawn.label], Path(item.media.path).name))
    names = {folder_: name for _, folder_, name in lines}
    assert sorted((split, names[label], name) for split, label, name in found) == sorted(
        (image.split or "train", some_records.named(dataset, each), image.name)
        for image in records
        for each in image.objects
    )
