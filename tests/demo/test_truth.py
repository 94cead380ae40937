"""The truth of the demo: what its boxes and classes promise."""

from importlib.metadata import files

import pytest

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
