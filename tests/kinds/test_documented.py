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
    schema = LabelSchema.parse(shown_in("operators.md"))
    answers = shown_in("earners.md")
    assert answers.keys() == KINDS.keys()
    for kind, answer in answers.items():
        kind_of(kind).check_schema(schema)
        kind_of(kind).validate(answer, about(Size(512, 512), schema))
