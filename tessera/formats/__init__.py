"""Formats that datasets are written in, and that known annotations are read from: one file each.

A format is one module of one shape (`protocol.Format`). Nothing here knows the database or the
store: files in, files out.
"""

from tessera.formats import (
    coco,
    coco_panoptic,
    cvat,
    datumaro,
    geojson,
    json_lines,
    kitti,
    label_studio,
    labelme,
    masks,
    open_images,
    parquet,
    voc,
    webdataset,
    yolo,
)
from tessera.formats.errors import UnknownFormat
from tessera.formats.protocol import Described, Format, Loses

__all__ = ["FORMATS", "WITHOUT_PICTURES", "Format", "UnknownFormat", "format_of", "losses_of"]

FORMATS: dict[str, Format] = {
    "coco": coco,
    "coco-panoptic": coco_panoptic,
    "cvat": cvat,
    "datumaro": datumaro,
    "geojson": geojson,
    "json-lines": json_lines,
    "kitti": kitti,
    "label-studio": label_studio,
    "labelme": labelme,
    "masks": masks,
    "open-images": open_images,
    "parquet": parquet,
    "voc": voc,
    "webdataset": webdataset,
    "yolo": yolo,
}

_WITH_GEOREFERENCE = {"geojson", "json-lines"}
_WITH_TAXONOMY = {"coco", "coco-panoptic", "datumaro", "label-studio", "parquet"}
_WITH_SKELETON = {"parquet"}
_WITH_SOFT = {"coco", "json-lines", "parquet", "webdataset"}
WITHOUT_PICTURES = frozenset({"coco", "cvat", "json-lines", "label-studio", "parquet"})
"""Formats that are files of labels alone."""


def losses_of(name: str, dataset: Described) -> list[Loses]:
    """All that a format cannot carry of a dataset, in the order of their names."""
    lost = {*FORMATS[name].losses(dataset)}
    if dataset.georeferenced and name not in _WITH_GEOREFERENCE:
        lost.add(Loses.GEOREFERENCE)
    if dataset.pictures and name in WITHOUT_PICTURES:
        lost.add(Loses.PICTURES)
    if name not in _WITH_TAXONOMY and any(each.parent for each in dataset.schema.classes):
        lost.add(Loses.TAXONOMY)
    if name not in _WITH_SKELETON and any(each.skeleton for each in dataset.schema.classes):
        lost.add(Loses.SKELETON)
    if name not in _WITH_SOFT and dataset.kind == "classify":
        lost.add(Loses.SOFT)
    return sorted(lost)


def format_of(name: str) -> Format:
    """The format of that name.

    Raises:
        UnknownFormat: There is none.
    """
    found = FORMATS.get(name)
    if found is None:
        raise UnknownFormat(f"There is no format {name[:50]!r}.", known=sorted(FORMATS))
    return found
