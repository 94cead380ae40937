"""`tessera quality replay` of COCO files: drawings, as if they arrived live."""

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from tessera.cli.policy import Asked, spent, told_of
from tessera.cli.recorded_drawings import RecordedDrawings, hits, read
from tessera.kinds import Label
from tessera.quality.replay_drawings import replay_drawings
from tessera.truth.calibration import expected_calibration_error, reliability


def told(options: Namespace, asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    """What became of the drawings.

    Raises:
        DomainError: Something is refused.
        Refusals: Several things are.
    """
    recorded = read(options, asked.gold_share, say)
    began = time.perf_counter()
    found = replay_drawings(recorded.kind, recorded.drawings, asked.policy)
    seconds = time.perf_counter() - began
    total = sum(len(each.answers) for each in recorded.drawings)
    labels = {
        number: outcome.label
        for number, outcome in enumerate(found.outcomes)
        if outcome is not None
        and recorded.truths[number] is not None
        and recorded.drawings[number].gold is None
    }
    used = sum(found.asked)
    people = {earner for each in recorded.drawings for earner, _ in each.answers}
    return {
        **_scores(recorded, labels),
        "answers_used": used,
        "answers_total": total,
        "items": len(recorded.drawings),
        "seconds": round(seconds, 4),
        "stopped": len(found.stopped),
        "earners": len(people),
        "gold": sum(each.gold is not None for each in recorded.drawings),
        "target_confidence": round(asked.target, 4),
        **spent(asked, used, total),
        "stopped_earners": told_of(found.stopped),
        "repeated": 0,
        "unanswered": sum(not each.answers for each in recorded.drawings),
        "policy": asdict(asked),
    }


def _scores(recorded: RecordedDrawings, labels: Mapping[int, Label]) -> dict[str, Any]:
    """Of the images whose truth is known, and is not gold; None where there are none."""
    nothing = dict.fromkeys(
        ("accuracy", "ece", "found", "right", "estimated_accuracy", "estimated_interval")
    )
    if not labels:
        return {**nothing, "scored": 0, "reliability": []}
    kind, scores = recorded.kind, []
    sure: list[tuple[float, bool]] = []
    tallies = np.zeros(4)
    for number, label in labels.items():
        truth, question = recorded.truths[number], recorded.drawings[number].question
        assert truth is not None  # noqa: S101 - only such are given
        scores.append(kind.score(label, truth, question))
        tallies += kind.tally(label, truth, question)
        sure += hits(recorded, number, label)
    there, found, drawn, _ = tallies.tolist()
    confidence = np.array([each for each, _ in sure])
    right = np.array([each for _, each in sure], dtype=np.bool_)
    return {
        **nothing,
        "accuracy": round(float(np.mean(scores)), 4),
        "found": round(found / there, 4) if there else None,
        "right": round(found / drawn, 4) if drawn else None,
        "ece": round(expected_calibration_error(confidence, right), 4) if len(sure) else None,
        "estimated_accuracy": round(float(confidence.mean()), 4) if len(sure) else None,
        "scored": len(labels),
        "reliability": [asdict(each) for each in reliability(confidence, right)],
    }
