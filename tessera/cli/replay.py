"""`tessera quality replay`: recorded answers under a policy, as if they arrived live."""

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tessera.cli import replay_drawings
from tessera.cli.policy import Asked, policy_of, spent, told_of
from tessera.cli.recorded import Recorded, read
from tessera.quality.replay import replay
from tessera.truth.calibration import expected_calibration_error, reliability
from tessera.truth.votes import UNKNOWN

MICRO = 1_000_000


def run(options: Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Replay recorded answers, and say what became of them.

    Raises:
        DomainError: Something is refused.
    """
    asked = Asked() if options.policy is None else policy_of(options.policy)
    against = None if options.against is None else policy_of(options.against)
    if options.labels.suffix == ".json":
        told = replay_drawings.told(options, asked, say)
        if against is not None:
            told["against"] = replay_drawings.told(options, against, say)
        return told
    recorded = read(options.labels, options.truth)
    say(f"{len(recorded.votes)} answers about {recorded.votes.n_items} items")
    told = _told(recorded, asked)
    if against is not None:
        told["against"] = _told(recorded, against)
    return told


def _told(recorded: Recorded, asked: Asked) -> dict[str, Any]:
    gold = recorded.drawn(asked.gold_share)
    began = time.perf_counter()
    found = replay(recorded.votes, gold=gold, policy=asked.policy)
    seconds = time.perf_counter() - began
    heard = recorded.votes.only(found.asked).per_item > 0
    scored = (recorded.truth != UNKNOWN) & (gold == UNKNOWN) & heard
    right, confidence = found.labels[scored] == recorded.truth[scored], found.confidence[scored]
    used, total = int(found.asked.sum()), len(recorded.votes)
    known = (gold != UNKNOWN) & heard
    low, high = found.interval(gold)
    return {
        "accuracy": _rounded(right.mean()) if len(right) else None,
        "answers_used": used,
        "answers_total": total,
        "items": recorded.votes.n_items,
        "ece": _rounded(expected_calibration_error(confidence, right)) if len(right) else None,
        "seconds": round(seconds, 4),
        "stopped": len(found.stopped),
        "earners": recorded.votes.n_earners,
        "scored": int(scored.sum()),
        "gold": int(known.sum()),
        # what confidences come to, as far as gold allows
        "estimated_accuracy": _rounded(min(max(confidence.mean(), low), high))
        if len(right)
        else None,
        "estimated_interval": [_rounded(low), _rounded(high)],
        "target_confidence": _rounded(asked.target),
        **spent(asked, used, total),
        "stopped_earners": told_of(
            {recorded.earners[each]: why for each, why in found.stopped.items()}
        ),
        "reliability": [asdict(each) for each in reliability(confidence, right)],
        "repeated": total - int(recorded.votes.first_each().sum()),
        "unanswered": recorded.unanswered,
        "policy": asdict(asked),
    }


def _rounded(value: float) -> float:
    return round(float(value), 4)


def tell(told: Mapping[str, Any]) -> str:
    """The summary for a person."""
    lines = _lines(told)
    if (other := told.get("against")) is not None:
        lines += ["", "against the other policy:", *_difference(told, other)]
    return "\n".join(lines)


def _lines(told: Mapping[str, Any]) -> list[str]:
    used, total = told["answers_used"], told["answers_total"]
    lines = [
        f"answers   {used:,} of {total:,} asked for ({used / max(total, 1):.1%})",
        f"items     {told['items']:,}",
        f"gold      {told['gold']:,} items, known to the engine and not scored",
    ]
    if told["accuracy"] is None:
        lines.append("accuracy  unknown: no item with truth is left to score")
    else:
        lines.append(f"accuracy  {told['accuracy']:.2%} of {told['scored']:,} scored items")
        if told["estimated_accuracy"] is not None:
            lines += [
                f"estimated {told['estimated_accuracy']:.2%}{_by_gold(told)}",
                f"ece       {told['ece']:.4f}",
            ]
        lines += [
            f"          sure {each['confidence']:.2f}: right {each['accuracy']:.2f} "
            f"({each['items']:,} items)"
            for each in told["reliability"]
        ]
    lines.append(f"stopped   {told['stopped']:,} of {told['earners']:,} earners")
    lines += [f"          {each['worker']}: {each['reason']}" for each in told["stopped_earners"]]
    if told["cost_micro"] is not None:
        lines.append(
            f"cost      {told['cost_micro'] / MICRO:,.2f}, "
            f"{told['saved_micro'] / MICRO:,.2f} less than all answers"
        )
    if told["repeated"]:
        lines.append(f"repeated  {told['repeated']:,} answers by an earner who had answered")
    lines.append(
        f"time      {told['seconds']:.2f} s, {total / max(told['seconds'], 1e-4):,.0f} answers/s"
    )
    return lines


def _by_gold(told: Mapping[str, Any]) -> str:
    interval = told["estimated_interval"]
    return "" if interval is None else f", by gold {interval[0]:.1%} to {interval[1]:.1%}"


def _difference(told: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    lines = [
        f"answers   {told['answers_used'] - other['answers_used']:+,}",
        f"stopped   {told['stopped'] - other['stopped']:+,} earners",
    ]
    if told["accuracy"] is not None and other["accuracy"] is not None:
        lines.append(f"accuracy  {100 * (told['accuracy'] - other['accuracy']):+.2f} points")
    if told["cost_micro"] is not None and other["cost_micro"] is not None:
        lines.append(f"cost      {(told['cost_micro'] - other['cost_micro']) / MICRO:+,.2f}")
    return lines
