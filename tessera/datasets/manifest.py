"""The manifest: what a version is made of. Its hash is the version's id. Pure.

Nothing in it depends on when or where it was made: the same labels, policy and cost give the same
id. Sums are of whole numbers or decimals, as floats would depend on the order of rows.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson

from tessera.datasets.options import Options
from tessera.datasets.tally import Tally
from tessera.formats import FORMATS, losses_of
from tessera.formats.protocol import Described
from tessera.kinds import parsed, shown
from tessera.quality.estimated_accuracy import EstimatedAccuracy

FORMAT_VERSION = 8
"""Raised whenever the same labels would be written as other bytes."""


@dataclass(frozen=True)
class File:
    path: str
    sha256: str
    bytes: int
    media_type: str


@dataclass(frozen=True)
class Drawn:
    """The project whose tasks say what tiles show: of one that joins, the stage before it."""

    id: UUID
    kind: str
    label_schema: dict[str, Any]


@dataclass(frozen=True)
class Labelled:
    """The project that a version is of, as it stood when the labels were read."""

    id: str
    images_of: UUID
    """The project whose images they are."""
    drawn_in: Drawn
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
    project: Labelled,
    options: Options,
    tally: Tally,
    spent: Spent,
    accuracy: EstimatedAccuracy | None,
    files: Iterable[File],
) -> dict[str, Any]:
    schema = parsed(project.label_schema)
    dataset = described(project, options, tally)
    return {
        "format_version": FORMAT_VERSION,
        "project": {
            "id": project.id,
            "name": project.name,
            "kind": project.kind,
            "label_schema": schema.as_json(),
        },
        "policy": {"slicing": project.slicing, "quality": project.quality},
        "formats": {
            name: {
                "files": sorted(FORMATS[name].files(dataset)),
                "loses": losses_of(name, dataset),
            }
            for name in sorted(options.formats)
        },
        "splits": None
        if options.splits is None
        else {**asdict(options.splits), "images": dict(sorted(tally.splits.items()))},
        "pictures": options.pictures,
        "tiles": options.tiles,
        "counts": tally.counts(schema),
        "confidence": tally.confidence(),
        "estimated_accuracy": None if accuracy is None else asdict(accuracy),
        "gold": {"answers": spent.gold_answers, "mean_score": spent.gold_score},
        "agreement": spent.agreement,
        "answers": spent.answers,
        "cost_micro": spent.cost_micro,
        "currency": project.currency,
        "files": [asdict(file) for file in sorted(files, key=lambda file: file.path)],
    }


def described(project: Labelled, options: Options, tally: Tally) -> Described:
    kind, schema = shown(project.kind, parsed(project.label_schema))
    return Described(
        project_id=project.id,
        name=project.name,
        kind=kind,
        schema=schema,
        splits=() if options.splits is None else options.splits.splits,
        pictures=options.pictures,
        georeferenced=tally.georeferenced > 0,
        on_earth=tally.on_earth == tally.images,
    )


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
