"""Which points an object has."""

from typing import Any

import pytest

from tessera.kinds import InvalidLabelSchema, LabelSchema

FACE = {
    "points": [{"name": "nose", "sigma": 0.026}, {"name": "left eye"}, {"name": "right eye"}],
    "edges": [[0, 1], [0, 2]],
    "flips": [[1, 2]],
}


def with_skeleton(skeleton: Any) -> dict[str, Any]:
    face = {"id": 1, "name": "face", "colour": "#000000", "skeleton": skeleton}
    return {"classes": [face]}


def test_a_skeleton_is_written_as_it_was_read() -> None:
    schema = LabelSchema.parse(with_skeleton(FACE))
    written = schema.as_json()["classes"][0]["skeleton"]
    assert written["points"][0] == {"name": "nose", "sigma": 0.026}
    assert (written["edges"], written["flips"]) == (FACE["edges"], FACE["flips"])
    assert LabelSchema.parse(schema.as_json()) == schema


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"points": []}, "points"),
        ({"points": [{"name": "a"}, {"name": "a"}]}, "points"),
        ({"points": [{"name": ""}]}, "points[0].name"),
        ({"points": [{"name": "a", "sigma": 0}]}, "points[0].sigma"),
        ({"points": [{"name": "a", "sigma": "x"}]}, "points[0].sigma"),
        ({"points": [{"name": "a", "colour": "red"}]}, "points[0]"),
        ({"edges": [[0, 3]]}, "edges[0]"),
        ({"edges": [[0, 0]]}, "edges[0]"),
        ({"edges": [[0]]}, "edges[0]"),
        ({"edges": [[0, -1]]}, "edges[0]"),
        ({"edges": [[0, 1.0]]}, "edges[0][1]"),
        ({"flips": [[0, 1], [1, 2]]}, "flips"),
        ({"bones": []}, ""),
    ],
)
def test_a_skeleton_that_makes_no_sense_is_refused_with_the_place(
    change: dict[str, Any], at: str
) -> None:
    with pytest.raises(InvalidLabelSchema) as refusal:
        LabelSchema.parse(with_skeleton({**FACE, **change}))
    assert refusal.value.facts["at"] == ".".join(filter(None, ["classes[0].skeleton", at]))
