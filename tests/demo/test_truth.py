"""The truth of the demo: what its boxes and classes promise."""

from importlib.metadata import files

import pytest
import shapely

from demo import photos, truth


def test_there_are_about_sixty_boxes_in_many_classes() -> None:
    coco = truth.boxes()
    assert 55 <= len(coco["annotations"]) <= 65
    used = {annotation["category_id"] for annotation in coco["annotations"]}
    assert used == {category["id"] for category in coco["categories"]}
    assert len(used) >= 5


def test_class_ids_colours_and_names_are_unique() -> None:
    for schema in (truth.boxes()["categories"], truth.classes()["classes"]):
        for field in ("id", "name", "colour"):
            assert len({entry[field] for entry in schema}) == len(schema), field


def test_every_box_is_whole_pixels_inside_its_photograph() -> None:
    coco = truth.boxes()
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    for annotation in coco["annotations"]:
        left, top, width, height = annotation["bbox"]
        across, down = sizes[annotation["image_id"]]
        assert all(isinstance(side, int) for side in annotation["bbox"])
        assert 0 <= left < left + width <= across
        assert 0 <= top < top + height <= down
        assert annotation["area"] == width * height


def test_no_object_is_boxed_twice() -> None:
    for objects in truth.objects_by_image(truth.boxes()).values():
        assert len(set(objects)) == len(objects)


@pytest.mark.parametrize(
    ("photo", "counts"),
    [
        ("coins.png", {"coin": 24}),
        ("chelsea.png", {"cat eye": 2, "cat nose": 1}),
        ("coffee.png", {"cup": 1, "saucer": 1, "spoon": 1}),
        ("rocket.jpg", {"rocket": 1, "lattice mast": 4}),
        ("grass.png", {}),
    ],
)
def test_a_photograph_has_as_many_objects_as_one_sees(photo: str, counts: dict[str, int]) -> None:
    names = {category["id"]: category["name"] for category in truth.boxes()["categories"]}
    seen = [names[thing.class_id] for thing in truth.objects_by_image(truth.boxes())[photo]]
    assert {name: seen.count(name) for name in seen} == counts


@pytest.mark.parametrize("photo", ["coins.png", "coffee.png"])
def test_what_is_outlined_is_what_is_boxed(photo: str) -> None:
    """Drawn twice, by different means."""
    sketch, coco = truth.drawn("outlines")[photo], truth.boxes()
    names = {category["id"]: category["name"] for category in coco["categories"]}
    boxed = [(names[name], box) for name, box in truth.objects_by_image(coco)[photo]]
    outlined = [(stroke.name, shapely.Polygon(stroke.points)) for stroke in sketch.strokes]
    assert len(boxed) == len(outlined)
    for name, box in boxed:
        alike = [_iou(shapely.box(*box), shapely.box(*o.bounds)) for n, o in outlined if n == name]
        assert max(alike) > 0.88, (name, box)


@pytest.mark.parametrize(("what", "counts"), [("outlines", [24, 3]), ("lines", [70])])
def test_outlines_and_lines_lie_in_their_photograph_and_do_not_cross_themselves(
    what: str, counts: list[int]
) -> None:
    sketches = truth.drawn(what)
    assert [len(sketch.strokes) for sketch in sketches.values()] == counts
    for photo, sketch in sketches.items():
        image = photos.open_rgb(photo)
        assert sketch.size == (image.width, image.height)
        for stroke in sketch.strokes:
            shape = (shapely.Polygon if what == "outlines" else shapely.LineString)(stroke.points)
            assert shape.is_simple
            assert shape.is_valid
            assert shapely.box(0, 0, *sketch.size).covers(shape)


def _iou(first: shapely.Geometry, second: shapely.Geometry) -> float:
    common, either = shapely.intersection(first, second), shapely.union(first, second)
    return float(shapely.area(common) / shapely.area(either))


def test_a_document_of_known_objects_reads_back_as_the_same_objects() -> None:
    objects = truth.objects_by_image(truth.boxes())
    document = truth.coco_of([(name, 10, 10, things) for name, things in objects.items()])
    assert truth.objects_by_image(document) == objects


def test_every_photograph_ships_inside_the_wheel_and_has_the_size_the_truth_says() -> None:
    shipped = {str(file) for file in files("scikit-image") or []}
    sizes = {
        image["file_name"]: (image["height"], image["width"], 3)
        for image in truth.boxes()["images"]
    }
    for photo in photos.photos():
        assert f"skimage/data/{photo.name}" in shipped
        assert photo.rgb.dtype == "uint8"
        assert photo.rgb.shape == sizes.get(photo.name, photo.rgb.shape)
