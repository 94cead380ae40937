"""Label Studio's own SDK reads what we write, with the code that its server exports with.

Its `LabelInterface` tells whether annotations fit a configuration, its `Converter` makes files of
other formats of them. It does not say which results are about one region: that
`test_label_studio` checks against the documentation.
"""

import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.formats import label_studio
from tessera.formats.protocol import Described
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import Attribute, LabelSchema, Size, kind_of
from tessera.kinds.attributes import Type
from tessera.shapes import turned
from tests.formats import some_records
from tests.formats.some_records import Case
from tests.seeds import examples

CONTROLS = {
    "box": "RectangleLabels",
    "instance_mask": "BrushLabels",
    "keypoints": "RectangleLabels",
    "polygon": "PolygonLabels",
    "semantic_mask": "BrushLabels",
}
OF_ATTRIBUTES = {
    Type.CHOICE: "Choices",
    Type.FLAG: "Choices",
    Type.NUMBER: "Number",
    Type.TEXT: "TextArea",
}
SORTS = ("box", "rotated", "classify", "instance_mask", "keypoints", "polygon", "semantic_mask")
REGIONS = tuple(sort for sort in SORTS if sort != "classify")
MORE = settings(some_records.BY_OTHERS, max_examples=examples(100))


@cache
def sdk(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own code
        return import_module(f"label_studio_sdk.{name}")


def configuration(dataset: Described) -> str:
    """What a project of Label Studio needs to take our tasks: a control for each `from_name`."""
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="image", value="$image")
    classes = dataset.schema.classes
    if dataset.kind == "classify":
        _classes(view, dataset.schema)
        return ET.tostring(view, encoding="unicode")
    label = ET.SubElement(view, CONTROLS[dataset.kind], name="label", toName="image")
    for each in classes:
        ET.SubElement(label, "Label", value=each.name)
    if points := points_of(dataset):
        control = ET.SubElement(view, "KeyPointLabels", name="point", toName="image")
        for number, name in enumerate(points):
            ET.SubElement(control, "Label", value=name, model_index=str(number))
    for name, one in [(each.name, one) for each in classes for one in each.attributes]:
        about = {"name": one.name, "toName": "image", "perRegion": "true", "whenLabelValue": name}
        control = ET.SubElement(view, OF_ATTRIBUTES[one.type], about)
        for value in ("true", "false") if one.type is Type.FLAG else one.values:
            ET.SubElement(control, "Choice", value=value)
    return ET.tostring(view, encoding="unicode")


def _classes(view: ET.Element, schema: LabelSchema) -> None:
    if not any(each.parent for each in schema.classes):
        choices = ET.SubElement(view, "Choices", name="class", toName="image", choice="multiple")
        for each in schema.classes:
            ET.SubElement(choices, "Choice", value=each.name)
        return
    elements: dict[int | None, ET.Element] = {
        None: ET.SubElement(view, "Taxonomy", name="class", toName="image")
    }
    for each in schema.classes:  # parents stand before their children here
        elements[each.id] = ET.SubElement(elements[each.parent], "Choice", value=each.name)


def points_of(dataset: Described) -> list[str]:
    skeletons = (each.skeleton for each in dataset.schema.classes if each.skeleton is not None)
    return list(dict.fromkeys(point.name for each in skeletons for point in each.points))


def one_name_each(case: Case) -> bool:
    """Label Studio knows a control by its name, whichever class it is of."""
    names = [one.name for each in case[0].schema.classes for one in each.attributes]
    return len({*names, "image", "label", "point"}) == len(names) + 3


def datasets(sort: str, **options: Any) -> st.SearchStrategy[Case]:
    return some_records.datasets(sort, **options).filter(one_name_each)


def flat(sort: str) -> st.SearchStrategy[Case]:
    """The converter names files by the names of images without their folders and endings."""
    return datasets(sort, folders=("",), endings=("jpg",), image_names=some_records.plain)


def kept(image: LabelledImage) -> list[tuple[LabelledObject, dict[str, Any]]]:
    return [
        pair for each in image.objects if not each.crowd for pair in some_records.outlines(each)
    ]


def a_converter(case: Case, folder: Path) -> Any:
    some_records.written(label_studio, case, folder)
    # without a folder of what was sent it makes one in the home of who runs it
    of = sdk("converter").Converter
    return of(configuration(case[0]), str(folder), upload_dir=str(folder))


def converted(case: Case, folder: Path, format_: str) -> Path:
    made = folder / "made"
    path = str(folder / label_studio.FILE)
    a_converter(case, folder).convert(path, str(made), format_, is_dir=False)
    return made


def items(case: Case, folder: Path) -> list[dict[str, Any]]:
    """Tasks as the converter takes them, with values by their `from_name`."""
    converter = a_converter(case, folder)
    found: list[dict[str, Any]] = list(
        converter.iter_from_json_file(str(folder / label_studio.FILE))
    )
    _, records = case
    assert [each["input"]["image"] for each in found] == [each.name for each in records]
    assert [each["input"].get("split") for each in found] == [each.split for each in records]
    return found


@MORE
@given(st.sampled_from(SORTS).flatmap(datasets))
def test_every_annotation_fits_a_configuration_of_the_same_classes(case: Case) -> None:
    interface = sdk("label_interface").LabelInterface(configuration(case[0]))
    with some_records.a_folder() as folder:
        some_records.written(label_studio, case, folder)
        tasks = orjson.loads((folder / label_studio.FILE).read_bytes())
    for task in tasks:
        (annotation,) = task["annotations"]
        assert interface.validate_prediction(annotation, return_errors=True) == []


@pytest.mark.long
@some_records.BY_OTHERS
@given(st.sampled_from(("box", "polygon")).flatmap(datasets))
def test_coco_of_the_converter_has_every_box_and_polygon(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        coco = orjson.loads((converted(case, folder, "COCO") / "result.json").read_bytes())
    names = {each["id"]: each["name"] for each in coco["categories"]}
    for image, said in zip(records, coco["images"], strict=True):
        assert said["file_name"].endswith(f"__{Path(image.name).name}")
        found = [each for each in coco["annotations"] if each["image_id"] == said["id"]]
        for drawn, (each, place) in zip(found, kept(image), strict=True):
            assert (said["width"], said["height"]) == (image.width, image.height)
            assert names[drawn["category_id"]] == some_records.named(dataset, each)
            if "outline" in place:
                (outline,) = drawn["segmentation"]
                np.testing.assert_allclose(outline, np.ravel(place["outline"]), atol=1e-6)
            else:
                left, top, width, height = drawn["bbox"]
                edges = [left, top, left + width, top + height]
                np.testing.assert_allclose(edges, place["box"], atol=1e-6)


def rows(made: Path, image: LabelledImage) -> list[tuple[str, list[float]]]:
    """The class and numbers of each line of the converter's YOLO."""
    names = (made / "classes.txt").read_text().splitlines()
    (path,) = (made / "labels").glob(f"*__{Path(image.name).stem}.txt")
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(names[int(number)], [float(each) for each in rest]) for number, *rest in lines]


@some_records.BY_OTHERS
@given(st.sampled_from(("box", "rotated")).flatmap(flat))
def test_yolo_of_the_converter_has_the_corners_of_every_box(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        made = converted(case, folder, "YOLO_OBB")
        found = [rows(made, image) for image in records]
    for image, drawn in zip(records, found, strict=True):
        for (name, shares), (each, place) in zip(drawn, kept(image), strict=True):
            assert name == some_records.named(dataset, each)
            corners = turned.corners(np.array([[*place["box"], 0][:5]]))[0]
            at = np.reshape(shares, (4, 2)) * [image.width, image.height]
            np.testing.assert_allclose(at, corners, atol=1e-6)


@some_records.BY_OTHERS
@given(flat("keypoints"))
def test_yolo_of_the_converter_has_every_point_in_its_box(case: Case) -> None:
    dataset, records = case
    order = points_of(dataset)
    with some_records.a_folder() as folder:
        made = converted(case, folder, "YOLO")
        found = [rows(made, image) for image in records]
    for image, drawn in zip(records, found, strict=True):
        size = np.array([image.width, image.height])
        for (name, numbers), (each, place) in zip(drawn, kept(image), strict=True):
            named = dataset.schema.find(each.class_id)
            assert named is not None
            assert named.skeleton is not None
            assert name == named.name
            objects = [{"class": named.id, **place}]
            left, top, right, bottom = kind_of("keypoints").reach(objects, dataset.schema)[0]
            around = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            np.testing.assert_allclose(numbers[:4] * np.tile(size, 2), around, atol=1e-6)
            at = np.reshape(numbers[4:], (-1, 3)) * [*size, 1]
            seen = {
                point.name: [x, y, 2]
                for point, (x, y, v) in zip(named.skeleton.points, place["points"], strict=True)
                if v
            }
            expected = [seen.get(point, [0, 0, 0]) for point in order]
            np.testing.assert_allclose(at, expected, atol=1e-6)


@some_records.BY_OTHERS
@given(st.sampled_from(("instance_mask", "semantic_mask")).flatmap(datasets))
def test_the_brush_of_the_sdk_paints_every_mask(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        found = items(case, folder)
    for image, item in zip(records, found, strict=True):
        results = item["output"].get("label", [])
        for result, (each, place) in zip(results, kept(image), strict=True):
            # one at a time, as it calls several of one class by their number
            results_of_one = sdk("converter.brush").decode_from_annotation("label", [result])
            ((name, alpha),) = results_of_one.items()
            assert name == f"label-{some_records.named(dataset, each)}-0"
            whole = some_records.drawn(place["mask"], Size(image.width, image.height))
            np.testing.assert_array_equal(alpha, np.where(whole, 255, 0))


def test_the_converter_has_every_sort_of_attribute(tmp_path: Path) -> None:
    asked = [
        {"name": "side", "values": ["left", "right"]},
        {"name": "seats", "type": "number"},
        {"name": "plate", "type": "text"},
        {"name": "parked", "type": "flag"},
    ]
    car = {"id": 1, "name": "car", "colour": "#0000ff", "attributes": asked}
    said: list[dict[str, Any]] = [
        {"side": "right", "seats": 4.5, "plate": "A & B", "parked": True},
        {},
        {"parked": False, "side": "left"},
    ]
    box = {"box": [1.0, 2.0, 3.0, 4.0]}
    objects = [LabelledObject(1, box, each, 1.0, "gold", [0], crowd=False) for each in said]
    dataset = Described("p", "n", "box", LabelSchema.parse({"classes": [car]}))
    images = [LabelledImage(1, "u", "a.jpg", 9, 9, "s", objects, [])]
    (item,) = same_attributes((dataset, images), tmp_path)
    assert item["output"].keys() == {"label", "side", "seats", "plate", "parked"}


@MORE
@given(st.sampled_from(REGIONS).flatmap(datasets))
def test_the_converter_has_every_attribute_in_the_order_of_the_objects(case: Case) -> None:
    with some_records.a_folder() as folder:
        same_attributes(case, folder)


def same_attributes(case: Case, folder: Path) -> list[dict[str, Any]]:
    dataset, records = case
    asked = [one for each in dataset.schema.classes for one in each.attributes]
    found = items(case, folder)
    for image, item in zip(records, found, strict=True):
        said = [each.attributes for each, _ in kept(image)]
        for one in asked:
            values = [each[one.name] for each in said if one.name in each]
            results = item["output"].get(one.name, [])
            assert [value_of(each, one) for each in results] == values
    return found


def value_of(result: dict[str, Any], asked: Attribute) -> Any:
    assert result["type"] == OF_ATTRIBUTES[asked.type]
    match asked.type:
        case Type.NUMBER:
            return result["number"]
        case Type.TEXT:
            (text,) = result["text"]
            return text
    (choice,) = result["choices"]
    return {"true": True, "false": False}[choice] if asked.type is Type.FLAG else choice


@given(some_records.datasets("classify"))
def test_classes_are_those_of_the_shortest_json(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        made = converted(case, folder, "JSON_MIN")
        tasks = orjson.loads((made / "result.json").read_bytes())
    for image, task in zip(records, tasks, strict=True):
        assert (task["id"], task["image"]) == (image.id, image.name)
        names = [some_records.named(dataset, each) for each in image.objects]
        found = task.get("class", {"choices": []})  # one alone stands there as it is
        assert ([found] if isinstance(found, str) else found["choices"]) == names


def test_classes_that_are_sorts_of_others_are_paths_in_a_taxonomy(tmp_path: Path) -> None:
    classes = [
        {"id": 1, "name": "vehicle", "colour": "#ff0000"},
        {"id": 2, "name": "car", "colour": "#00ff00", "parent": 1},
        {"id": 3, "name": "van", "colour": "#0000ff", "parent": 2},
    ]
    dataset = Described("p", "n", "classify", LabelSchema.parse({"classes": classes}))
    found = [
        [LabelledObject(number, {}, {}, 1.0, "gold", [0], crowd=False)] for number in (1, 2, 3)
    ]
    records = [
        LabelledImage(i, "u", f"{i}.jpg", 9, 9, "s", objects, [])
        for i, objects in enumerate(found, 1)
    ]
    made = converted((dataset, records), tmp_path, "JSON_MIN")
    tasks = orjson.loads((made / "result.json").read_bytes())
    paths = [each["taxonomy"] for task in tasks for each in task["class"]]
    assert paths == [[["vehicle"]], [["vehicle", "car"]], [["vehicle", "car", "van"]]]
    interface = sdk("label_interface").LabelInterface(configuration(dataset))
    for task in orjson.loads((tmp_path / label_studio.FILE).read_bytes()):
        (annotation,) = task["annotations"]
        assert interface.validate_prediction(annotation, return_errors=True) == []


@pytest.mark.parametrize(
    ("label", "changed", "why"),
    [
        ("bus", {}, "Invalid value for control 'label'"),
        ("car", {"from_name": "box"}, "'box' not found in configuration"),
        ("car", {"type": "polygonlabels"}, "does not match expected type 'rectanglelabels'"),
    ],
)
def test_what_does_not_fit_is_told_by_the_sdk(
    label: str, changed: dict[str, str], why: str
) -> None:
    schema = LabelSchema.parse({"classes": [{"id": 1, "name": "car", "colour": "#ff0000"}]})
    dataset = Described("p", "n", "box", schema)
    interface = sdk("label_interface").LabelInterface(configuration(dataset))
    value = {"x": 1, "y": 1, "width": 1, "height": 1, "rotation": 0, "rectanglelabels": [label]}
    about = {"from_name": "label", "to_name": "image", "type": "rectanglelabels", "value": value}
    (told,) = interface.validate_prediction({"result": [about | changed]}, return_errors=True)
    assert why in told
