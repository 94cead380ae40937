"""What the documents show people to send is taken."""

import json
import re
from pathlib import Path
from typing import Any

from tessera.kinds import KINDS, LabelSchema, Size, kind_of
from tests.kinds.samples import about

BLOCK = re.compile(r"^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)


def shown_in(page: str) -> Any:
    (block,) = BLOCK.findall(Path("docs", page).read_text())
    return json.loads(block)


def test_the_label_schema_and_the_answers_of_every_kind_are_valid() -> None:
    shown, answers = shown_in("operators.md"), shown_in("earners.md")
    assert answers.keys() == KINDS.keys()
    eyes = {"points": [{"name": "left eye"}, {"name": "right eye"}]}
    with_eyes = [{**each, "skeleton": eyes} for each in shown["classes"]]
    about_boxes = {"of": "box"}
    more: dict[str, dict[str, Any]] = {
        "keypoints": {"classes": with_eyes},
        "verify": about_boxes,
        "join": about_boxes,
    }
    for kind, answer in answers.items():
        schema = LabelSchema.parse({**shown, **more.get(kind, {})})
        kind_of(kind).check_schema(schema)
        kind_of(kind).validate(answer, about(Size(512, 512), schema))
