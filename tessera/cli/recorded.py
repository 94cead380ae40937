"""Recorded answers and known truths in CSV files."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv

from tessera.kernel.errors import Invalid
from tessera.truth.votes import UNKNOWN, Indices, Votes

ANSWERS, TRUTHS = ("item", "worker", "label"), ("item", "label")
"""Columns; there may be others, which nobody looks at."""
_DRAWN_OF = 2**64


class BadRecords(Invalid):
    """A file is not what it should be."""

    code: ClassVar[str] = "bad-records"


@dataclass(frozen=True)
class Recorded:
    votes: Votes
    items: Sequence[str]
    """What item number i is called; likewise the other two."""
    earners: Sequence[str]
    labels: Sequence[str]
    truth: Indices
    """Shape (n_items,), `UNKNOWN` where it is."""
    unanswered: int
    """Items of known truth that nobody has answered."""

    def drawn(self, share: float) -> Indices:
        """The truth of a share of the items, `UNKNOWN` of the others; always the same ones."""
        drawn = np.array([is_drawn(item, share) for item in self.items])
        return np.where(drawn, self.truth, UNKNOWN)


def is_drawn(item: str, share: float) -> bool:
    """Whether an item is among a share of all; always the same ones are."""
    dice = int.from_bytes(hashlib.sha256(item.encode()).digest()[:8], "big")
    return dice < share * _DRAWN_OF


def read(labels: Path, truth: Path) -> Recorded:
    """Read both files.

    Raises:
        BadRecords: One cannot be used; says where and why.
        OSError: One cannot be read.
    """
    answers, known = _columns(labels, ANSWERS), _columns(truth, TRUTHS)
    items, item = _numbered(answers["item"])
    earners, earner = _numbered(answers["worker"])
    names, said = _numbered(pa.chunked_array([*answers["label"].chunks, *known["label"].chunks]))
    votes = Votes(item, earner, said[: len(item)], len(items), len(earners), len(names))
    of = {name: number for number, name in enumerate(items)}
    truths, unanswered = np.full(len(items), UNKNOWN), 0
    for row, (name, label) in enumerate(
        zip(known["item"].to_pylist(), said[len(item) :].tolist(), strict=True), 1
    ):
        number = of.get(name)
        if number is None:
            unanswered += 1
        elif truths[number] not in {UNKNOWN, label}:
            raise BadRecords(
                f"row {row} after the first line: item {name!r} has two truths", file=truth.name
            )
        else:
            truths[number] = label
    return Recorded(votes, items, earners, names, truths, unanswered)


def _columns(path: Path, wanted: Sequence[str]) -> dict[str, Any]:
    try:
        table = csv.read_csv(
            path,
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=list(wanted),
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise BadRecords(_said(error, wanted), file=path.name) from error
    if table.num_rows == 0:
        raise BadRecords("has no rows", file=path.name)
    for name in wanted:
        empty = compute.index(compute.utf8_trim_whitespace(table[name]), "").as_py()
        if empty >= 0:
            raise BadRecords(
                f"row {empty + 1} after the first line: {name} is empty", file=path.name
            )
    return {name: table[name] for name in wanted}


def _said(error: Exception, wanted: Sequence[str]) -> str:
    if isinstance(error, pa.ArrowKeyError):
        return f"the first line must name the columns {', '.join(wanted)}, separated by commas"
    if "Empty CSV" in str(error):
        return "is empty"
    return f"is not CSV in UTF-8: {str(error).splitlines()[0][:200]}"


def _numbered(column: Any) -> tuple[list[str], Indices]:
    """Names in the order in which they first come, and of each row the number of its name."""
    coded = column.combine_chunks().dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)
