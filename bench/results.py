"""What every bench ends with: figures in a file, and whether they are what we aim for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Aim:
    """A wish and what was measured; `wanted` is in words."""

    what: str
    measured: float
    wanted: str
    met: bool


def conclude(results: Mapping[str, Any], aims: Sequence[Aim], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    whole = {**results, "aims": [asdict(aim) for aim in aims]}
    out.write_text(json.dumps(whole, indent=2) + "\n")
    print()
    for aim in aims:
        verdict = "met" if aim.met else "NOT met"
        print(f"{aim.what}: {aim.measured:g}; aim: {aim.wanted}; {verdict}")
    print(f"→ {out}")


def sizes_of(words: str) -> list[int]:
    """In order: `1m,10k` is 10,000 and 1,000,000."""
    units = {"k": 1_000, "m": 1_000_000}
    return sorted(
        int(float(word[:-1]) * units[word[-1]]) if word[-1] in units else int(word)
        for word in words.lower().split(",")
    )
