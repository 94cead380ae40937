"""Files as the tools themselves write them, where that is not how we do."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from tessera.formats import FORMATS
from tessera.formats.archive import Folder, unpacked
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Known, Refused, Source, Wanted
from tessera.kinds import LabelSchema, Size

SIZE = {"a.jpg": Size(100, 50)}
CUP, SPOON = ({"id": i, "name": n, "colour": "#ff0000"} for i, n in ((1, "cup"), (2, "spoon")))
POINTS = {"points": [{"name": "x"}, {"name": "y"}], "edges": []}


def said(
    folder: Path, format_: str, kind: str, classes: Any = (CUP,), **schema: Any
) -> list[Known | Refused]:
    source: Source = FORMATS[format_]  # type: ignore[assignment]
    parsed = LabelSchema.parse({"classes": list(classes), **schema})
    return list(source.read(Folder(folder), Wanted(kind, parsed, SIZE)))


def one(found: list[Known | Refused]) -> dict[str, Any]:
    (known,) = found
    assert isinstance(known, Known), known
    (each,) = known.objects
    return dict(each)


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))


def in_datumaro(annotation: dict[str, Any], **categories: Any) -> dict[str, Any]:
    item = {"id": "a", "image": {"path": "a.jpg", "size": [50, 100]}, "annotations": [annotation]}
    labels = {"label": {"labels": [{"name": "cup", "parent": ""}]}}
    return {"categories": labels | categories, "items": [item]}


def test_points_of_datumaro_go_by_their_names(tmp_path: Path) -> None:
    drawn = {"type": "points", "label_id": 0, "points": [10, 20, 30, 40], "visibility": [2, 1]}
    names = {"points": {"items": [{"label_id": 0, "labels": ["y", "x"], "joints": []}]}}
    write(tmp_path / "annotations/a.json", in_datumaro(drawn, **names))
    found = one(said(tmp_path, "datumaro", "keypoints", [CUP | {"skeleton": POINTS}]))
    assert found["points"] == [[30, 40, 1], [10, 20, 2]]
    names["points"]["items"][0]["labels"] = ["y", "z"]
    write(tmp_path / "annotations/a.json", in_datumaro(drawn, **names))
    refused, _ = said(tmp_path, "datumaro", "keypoints", [CUP | {"skeleton": POINTS}])
    assert isinstance(refused, Refused)
    assert refused.code is Code.UNKNOWN_POINT


def test_a_box_that_cvat_has_turned_is_turned(tmp_path: Path) -> None:
    """It stands in Datumaro's files as an upright box, and by how much it is to be turned."""
    drawn = {"type": "bbox", "label_id": 0, "bbox": [10, 10, 40, 20]}
    drawn["attributes"] = {"rotation": 30.0, "occluded": False}
    write(tmp_path / "annotations/a.json", in_datumaro(drawn))
    turned = one(said(tmp_path, "datumaro", "box", rotated=True))
    assert turned["box"] == pytest.approx([10, 10, 50, 30, 30])
    refused, _ = said(tmp_path, "datumaro", "box")
    assert isinstance(refused, Refused), "a schema of upright boxes has no place for it"


@pytest.mark.parametrize("top", ["", "download/", "a/b/"])
def test_what_numbers_of_pixels_mean_is_told_beside_them(tmp_path: Path, top: str) -> None:
    """Archives mostly have all there is in one folder."""
    pixels = np.full((50, 100), 255, np.uint8)
    pixels[:10] = 1
    root = tmp_path / top
    write(root / "labelmap.txt", b"background:0,0,0::\nspoon:1,0,0::\ncup:2,0,0::\n")
    write(root / "Annotations/a.xml", b"<annotation><filename>a.jpg</filename></annotation>")
    write(root / "classes.txt", b"1\t0\tspoon\n2\t0\tcup\n")
    for path in ("SegmentationClass/a.png", "gtFine/train/a_gtFine_labelIds.png"):
        (root / path).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(root / path)
    for format_ in ("voc", "masks"):
        assert one(said(tmp_path, format_, "semantic_mask", [CUP, SPOON]))["class"] == 2


def test_files_of_voc_need_not_lie_in_a_folder_of_that_name(tmp_path: Path) -> None:
    inside = "<object><name>cup</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
    inside += "<ymax>9</ymax></bndbox></object>"
    write(tmp_path / "a.xml", f"<annotation><filename>a</filename>{inside}</annotation>".encode())
    assert one(said(tmp_path, "voc", "box"))["box"] == [0, 0, 9, 9]


@pytest.mark.parametrize("encoding", ["gb2312", "foo", "utf-16"])
@pytest.mark.parametrize("format_", ["voc", "cvat"])
def test_xml_in_what_nobody_can_read_is_no_xml(tmp_path: Path, format_: str, encoding: str) -> None:
    root = {"voc": "annotation", "cvat": "annotations"}[format_]
    text = f'<?xml version="1.0" encoding="{encoding}"?><{root}></{root}>'
    write(tmp_path / "a.xml", text.encode())
    try:
        (refused,) = said(tmp_path, format_, "box")
    except BadFile as error:
        refused = Refused("", str(error), Code.BAD_FILE)
    assert isinstance(refused, Refused)
    assert "is not XML" in refused.why


def labelled(*results: Any, **data: str) -> list[dict[str, Any]]:
    return [{"data": data, "annotations": [{"result": list(results)}]}]


BOX = {
    "type": "rectanglelabels",
    "id": "1",
    "original_width": 100,
    "original_height": 50,
    "value": {"x": 10, "y": 10, "width": 40, "height": 20, "rectanglelabels": ["cup"]},
}


@pytest.mark.parametrize(
    "image",
    [
        *("a.jpg", "/data/upload/3/8e1b6a7c-a.jpg", "s3://bucket/a.jpg"),
        *("/data/local-files/?d=a.jpg", "https://example.org/a.jpg"),
    ],
)
def test_label_studio_has_many_ways_to_name_an_image(tmp_path: Path, image: str) -> None:
    sized = SIZE["a.jpg"]
    write(tmp_path / "a.json", labelled(BOX, image=image))
    found = one(said(tmp_path, "label-studio", "box"))
    assert found["box"] == [0.1 * sized.width, 5, 50, 15]


def test_not_every_result_of_label_studio_tells_a_size(tmp_path: Path) -> None:
    choice = {"type": "choices", "id": "x", "value": {"choices": ["cup"]}}
    write(tmp_path / "a.json", labelled(choice, image="a.jpg"))
    assert one(said(tmp_path, "label-studio", "classify", [CUP, SPOON]))["class"] == 1
    bare = {name: each for name, each in BOX.items() if not name.startswith("original")}
    write(tmp_path / "a.json", labelled(bare, image="a.jpg"))
    assert one(said(tmp_path, "label-studio", "box"))["box"] == [10, 5, 50, 15]


def test_tasks_about_other_images_of_label_studio_are_foreign(tmp_path: Path) -> None:
    skipped = {"data": {"image": "z.jpg"}, "annotations": [{"was_cancelled": True, "result": []}]}
    write(tmp_path / "a.json", [*labelled(BOX, image="a.jpg"), skipped, {"data": {"i": "y.jpg"}}])
    known, *others = said(tmp_path, "label-studio", "box")
    assert isinstance(known, Known)
    assert [isinstance(each, Refused) and each.foreign for each in others] == [True, True]


@pytest.mark.parametrize(
    ("format_", "kind", "content"),
    [
        ("labelme", "box", {"shapes": [{"label": "cup", "shape_type": [None]}]}),
        ("labelme", "box", {"shapes": [{"label": "cup", "shape_type": {}}]}),
        ("label-studio", "classify", labelled({"type": [], "value": {}}, image="a.jpg")),
        ("label-studio", "keypoints", labelled(BOX, {"type": "keypointlabels", "parentID": "1",
            "value": {"x": 1, "y": 1, "keypointlabels": [[]]}}, image="a.jpg")),
    ],
)  # fmt: skip
def test_what_is_no_word_is_refused_as_such(
    tmp_path: Path, format_: str, kind: str, content: Any
) -> None:
    if isinstance(content, dict):
        content |= {"imagePath": "a.jpg", "imageWidth": 100, "imageHeight": 50}
    write(tmp_path / "a.json", content)
    found = said(tmp_path, format_, kind, [CUP | {"skeleton": POINTS}, SPOON])
    assert any(isinstance(each, Refused) for each in found)


def test_what_a_mac_packs_beside_the_files_is_not_read(tmp_path: Path) -> None:
    lines = orjson.dumps({"name": "a.jpg", "width": 100, "height": 50, "objects": []})
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("labels.jsonl", lines)
        out.writestr("__MACOSX/._labels.jsonl", b"\0\5\26\7")
        out.writestr("._labels.jsonl", b"\0\5\26\7")
    with unpacked(packed) as files:
        assert list(files.names()) == ["labels.jsonl"]


def test_a_line_without_anything_is_passed_over(tmp_path: Path) -> None:
    line = orjson.dumps({"name": "a.jpg", "width": 100, "height": 50, "objects": []})
    write(tmp_path / "labels.jsonl", line + b"\n\n")
    (known,) = said(tmp_path, "json-lines", "box")
    assert isinstance(known, Known)


def test_a_bom_and_empty_values_are_nothing(tmp_path: Path) -> None:
    line = orjson.dumps({"name": "a.jpg", "width": 100, "height": 50, "objects": []})
    write(tmp_path / "labels.jsonl", b"\xef\xbb\xbf" + line)
    (known,) = said(tmp_path, "json-lines", "box")
    assert isinstance(known, Known)
    inside = '<box label="cup" xtl="1" ytl="1" xbr="9" ybr="9"><attribute name="note"></attribute>'
    image = f'<image id="0" name="a.jpg" width="100" height="50">{inside}</box></image>'
    write(tmp_path / "a.xml", f"<annotations>{image}</annotations>".encode())
    asked = CUP | {"attributes": [{"name": "note", "type": "text"}]}
    assert one(said(tmp_path, "cvat", "box", [asked]))["attributes"] == {}


def test_words_of_voc_may_have_lines_of_their_own(tmp_path: Path) -> None:
    inside = "<object><name>\n  cup\n</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
    inside += "<ymax>9</ymax></bndbox></object>"
    text = f"<annotation><filename>\n a.jpg </filename>{inside}</annotation>"
    write(tmp_path / "z.xml", text.encode())
    assert one(said(tmp_path, "voc", "box"))["box"] == [0, 0, 9, 9]


def test_datumaro_may_lie_in_a_folder(tmp_path: Path) -> None:
    drawn = {"type": "bbox", "label_id": 0, "bbox": [10, 10, 40, 20]}
    write(tmp_path / "export/annotations/a.json", in_datumaro(drawn))
    assert one(said(tmp_path, "datumaro", "box"))["box"] == [10, 10, 50, 30]


def in_coco(*annotations: Any, categories: Any = None, **image: Any) -> dict[str, Any]:
    about = {"id": 5, "file_name": "a.jpg", "width": 100, "height": 50} | image
    return {
        "images": [about],
        "categories": categories or [{"id": 1, "name": "cup"}],
        "annotations": [{"id": i, "image_id": 5, "category_id": 1, **each}
                        for i, each in enumerate(annotations, 1)],
    }  # fmt: skip


def test_a_box_of_coco_that_cvat_has_turned_is_turned(tmp_path: Path) -> None:
    drawn = {"bbox": [10, 10, 40, 20], "attributes": {"rotation": 30.0, "occluded": False}}
    write(tmp_path / "a.json", in_coco(drawn))
    found = one(said(tmp_path, "coco", "box", rotated=True))
    assert found["box"] == pytest.approx([10, 10, 50, 30, 30])


@pytest.mark.parametrize("box", [3, None, "four", {}, [1, 2, 3]])
def test_what_is_no_box_is_not_turned(tmp_path: Path, box: object) -> None:
    drawn = {"bbox": [10, 10, 40, 20], "rotated": box, "attributes": {"rotation": 30.0}}
    write(tmp_path / "a.json", in_coco(drawn))
    refused, _ = said(tmp_path, "coco", "box", rotated=True)
    assert isinstance(refused, Refused)
    write(tmp_path / "annotations/a.json", in_datumaro(drawn | {"type": "bbox", "label_id": 0}))
    refused, _ = said(tmp_path / "annotations/..", "datumaro", "box", rotated=True)
    assert isinstance(refused, Refused)


@pytest.mark.parametrize("told", [None, 0])
def test_coco_need_not_tell_the_size_of_an_image(tmp_path: Path, told: int | None) -> None:
    write(tmp_path / "a.json", in_coco({"bbox": [10, 10, 40, 20]}, width=told, height=told))
    assert one(said(tmp_path, "coco", "box"))["box"] == [10, 10, 50, 30]
    outline = [[10, 10, 30, 10, 30, 20, 10, 20]]
    write(tmp_path / "a.json", in_coco({"segmentation": outline}, width=told, height=told))
    mask = one(said(tmp_path, "coco", "instance_mask"))["mask"]
    assert (mask["left"], mask["top"], mask["size"]) == (10, 10, [10, 20])
    write(tmp_path / "a.json", in_coco(width=100, height=None))
    assert isinstance(said(tmp_path, "coco", "box")[0], Refused), "half of a size is none"


def test_results_of_coco_say_nothing_of_images(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}])
    with pytest.raises(BadFile, match="it is a list, of what nothing tells"):
        said(tmp_path, "coco", "box")


def test_people_without_a_point_are_told_from_mistakes(tmp_path: Path) -> None:
    """Half of all people in COCO have a box only."""
    skeleton = CUP | {"skeleton": POINTS}
    names = [{"id": 1, "name": "cup", "keypoints": ["x", "y"]}]
    drawn = {"keypoints": [1, 2, 2, 3, 4, 1]}, {"keypoints": [0] * 6, "num_keypoints": 0}
    write(tmp_path / "a.json", in_coco(*drawn, categories=names))
    refused, known = said(tmp_path, "coco", "keypoints", [skeleton])
    assert isinstance(refused, Refused)
    assert (refused.at, refused.code) == ("a.json: annotations[1]", Code.UNLABELLED)
    assert one([known])["points"] == [[1, 2, 2], [3, 4, 1]]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("../images/a.jpg", "a.jpg"),
        ("..\\images\\a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("../../home/me/images/deep/b.jpg", "deep/b.jpg"),
    ],
)
def test_pictures_of_labelme_lie_where_they_like(tmp_path: Path, path: str, name: str) -> None:
    box = {"label": "cup", "shape_type": "rectangle", "points": [[1, 2], [30, 20]]}
    sized = {"imageWidth": 100, "imageHeight": 50, "shapes": [box]}
    write(tmp_path / "a.json", {"imagePath": path, **sized})
    schema = LabelSchema.parse({"classes": [CUP]})
    images = {"a.jpg": Size(100, 50), "deep/b.jpg": Size(100, 50)}
    source: Source = FORMATS["labelme"]  # type: ignore[assignment]
    (known,) = source.read(Folder(tmp_path), Wanted("box", schema, images))
    assert isinstance(known, Known)
    assert known.name == name


def test_labelme_need_not_tell_the_size_of_an_image(tmp_path: Path) -> None:
    box = {"label": "cup", "shape_type": "rectangle", "points": [[1, 2], [30, 20]]}
    write(tmp_path / "a.json", {"imagePath": "a.jpg", "imageHeight": None, "shapes": [box]})
    assert one(said(tmp_path, "labelme", "box"))["box"] == [1, 2, 30, 20]


@pytest.mark.parametrize("format_", ["labelme", "cvat"])
def test_of_foreign_images_nothing_is_read(tmp_path: Path, format_: str) -> None:
    write(tmp_path / "a.json", {"imagePath": "z.jpg", "imageHeight": "x", "shapes": 7})
    image = '<image id="0" name="z.jpg" width="x"><box/><mask rle="?"/></image>'
    write(tmp_path / "a.xml", f"<annotations>{image}</annotations>".encode())
    (refused,) = said(tmp_path, format_, "box")
    assert isinstance(refused, Refused)
    assert refused.foreign


def test_label_studio_says_more_than_anybody_asks(tmp_path: Path) -> None:
    stars = {"type": "rating", "id": "1", "from_name": "stars", "value": {"rating": 4}}
    inner = BOX | {"id": "2", "parentID": "1"}
    write(tmp_path / "a.json", labelled(BOX, stars, inner, image="a.jpg"))
    (known,) = said(tmp_path, "label-studio", "box")
    assert isinstance(known, Known)
    assert len(known.objects) == 2, "a box in another is one of its own"
    assert [each.code for each in known.left_out] == [Code.UNKNOWN_ATTRIBUTE]


def test_who_skips_a_task_of_label_studio_does_not_agree_with_the_model(tmp_path: Path) -> None:
    (task,) = labelled(image="a.jpg")
    task["annotations"][0]["was_cancelled"] = True
    task["predictions"] = [{"result": [BOX]}]
    write(tmp_path / "a.json", [task])
    (refused,) = said(tmp_path, "label-studio", "box")
    assert isinstance(refused, Refused)
    assert refused.code is Code.UNLABELLED
