"""The manifest: what a version is made of. Its hash is the version's id. Pure.

Nothing in it depends on when or where it was made: the same labels, policy and cost give the same
id. Sums are of whole numbers or decimals, as floats would depend on the order of rows.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from tessera.datasets.tally import Tally
from tessera.kinds import LabelSchema

FORMAT_VERSION = 2
"""Raised whenever the same labels would be written as other bytes."""


@dataclass(frozen=True)
class File:
    path: str
    sha256: str
    bytes: int
    media_type: str


@dataclass(frozen=True)
class Described:
    """What a version is a version of, as it stood when the labels were read."""

    id: str
    name: str
    kind: str
    label_schema: dict[str, Any]
    slicing: dict[str, Any]
    quality: dict[str, Any]
    currency: str


@dataclass(frozen=True)
class Spent:
    """All answers that the project has paid for so far, and how good they are."""

    answers: int
    cost_micro: int
    """Earnings and fees."""
    gold_answers: int
    gold_score: float | None
    """Mean over them, 0 to 1; so is `agreement`, with the labels that came of them."""
    agreement: float | None


def manifest(
    project: Described, tally: Tally, spent: Spent, files: Iterable[File]
) -> dict[str, Any]:
    schema = LabelSchema.parse(project.label_schema)
    return {
        "format_version": FORMAT_VERSION,
        "project": {
            "id": project.id,
            "name": project.name,
            "kind": project.kind,
            "label_schema": schema.as_json(),
        },
        "policy": {"slicing": project.slicing, "quality": project.quality},
        "counts": tally.counts(schema),
        "confidence": tally.confidence(),
        "gold": {"answers": spent.gold_answers, "mean_score": spent.gold_score},
        "agreement": spent.agreement,
        "answers": spent.answers,
        "cost_micro": spent.cost_micro,
        "currency": project.currency,
        "files": [asdict(file) for file in sorted(files, key=lambda file: file.path)],
    }


def files_of(manifest: dict[str, Any]) -> list[File]:
    return [File(**each) for each in manifest["files"]]


def canonical(manifest: dict[str, Any]) -> bytes:
    """The one way to write it: sorted keys, no spaces, UTF-8, shortest decimals."""
    return orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)


def manifest_file(manifest: dict[str, Any]) -> File:
    """The manifest as a file of its own version. Its hash is the version's id."""
    written = canonical(manifest)
    sha256 = hashlib.sha256(written).hexdigest()
    return File("manifest.json", sha256, len(written), "application/json")
