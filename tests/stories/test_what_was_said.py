"""Several classes at once, and attributes: from an answer to every file of a dataset."""

from typing import Any

import orjson
import pytest

from tests.datasets.reading import as_lines, as_rows
from tests.quality.court import ANIMALS, SIDE, always, coco, court
from tests.quality.test_blocked import trust_of
from tests.world import World

SEVERAL = {**ANIMALS, "multiple": True}
COINS: dict[str, Any] = {
    "classes": [
        {
            "id": 1,
            "name": "coin",
            "colour": "#e6194b",
            "attributes": [
                {"name": "side", "values": ["heads", "tails"]},
                {"name": "worn", "values": ["no", "yes"]},
            ],
        }
    ]
}
TWO_OF_THREE = {"classes": [1, 3]}
A_COIN = {
    "objects": [
        {"class": 1, "box": [20, 30, 90, 95], "attributes": {"worn": "yes", "side": "tails"}}
    ]
}


def both_in(name: str) -> dict[str, Any]:
    """That an image shows a cat and an owl."""
    known = coco([name])
    known["categories"] = [{"id": 7, "name": "cat"}, {"id": 8, "name": "owl"}]
    known["annotations"] = [
        {"id": id_, "image_id": 0, "category_id": category} for id_, category in ((1, 7), (2, 8))
    ]
    return known


def coin_in(name: str) -> dict[str, Any]:
    known = coco([name], "coin")
    known["annotations"][0]["bbox"] = [20, 30, 70, 65]
    return known


def of(objects: list[dict[str, Any]]) -> list[tuple[int, dict[str, str]]]:
    """Class and attributes, whichever file they are from."""
    return [
        (each.get("category_id") or each.get("class_id") or each["class"], each["attributes"])
        for each in objects
    ]


@pytest.mark.parametrize(
    ("kind", "schema", "known", "answer", "said"),
    [
        ("classify", SEVERAL, both_in, TWO_OF_THREE, [(1, {}), (3, {})]),
        ("box", COINS, coin_in, A_COIN, [(1, {"side": "tails", "worn": "yes"})]),
    ],
    ids=["several classes", "attributes"],
)
async def test_what_people_say_is_scored_agreed_on_and_in_every_file(
    world: World, kind: str, schema: Any, known: Any, answer: Any, said: Any
) -> None:
    names = [f"{letter}.jpg" for letter in "abcdef"]
    here = await court(world, *names, "gold.jpg", kind=kind, label_schema=schema)
    await here.operator.post(f"{here.path}/gold", {"coco": known("gold.jpg")})
    await here.launch()
    people = await here.earners(4)
    for person in people:
        await here.work(person, always(answer))
        await here.judge()
    scored = (await trust_of(here)).values()
    assert scored
    assert not any(missed for _, missed in scored)
    assert (await here.tasks())["a.jpg"]["state"] == "settled"

    files = await here.dataset()
    found = orjson.loads(files["coco.json"])
    first = next(each["id"] for each in found["images"] if each["file_name"] == "a.jpg")
    lines = {each["name"]: each for each in as_lines(files["labels.jsonl"])}
    rows = [each for each in as_rows(files["labels.parquet"]) if each["image_name"] == "a.jpg"]
    labels = [*found["annotations"], *found["image_labels"]]
    assert of([each for each in labels if each["image_id"] == first]) == said
    assert of(lines["a.jpg"]["objects"]) == said
    assert [(each["class_id"], dict(each["attributes"])) for each in rows] == said
    assert (lines["a.jpg"]["width"], lines["a.jpg"]["height"]) == (SIDE, SIDE)
