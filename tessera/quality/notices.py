"""Receipts of what trust leads to: who is told what."""

from collections.abc import Mapping
from typing import Any

from tessera.decisions.models import Effect, Rule
from tessera.projects.models import Project
from tessera.quality.models import TrustRecord
from tessera.quality.trust import Trust
from tessera.truth.signals import percent

Row = dict[str, Any]
"""Of `decisions.models.Decision`, by column."""
FALLEN = 0.1
"""Of the mean of trust, since the earner was last told: less is chance."""


def stopped(
    project: Project, record: TrustRecord, trust: Trust, minimum: float, reason: str
) -> Row:
    """That they get no more tasks, as the rule has it."""
    numbers = {**_numbers(trust), "minimum_trust": round(minimum, 4)}
    return _row(project, record, Effect.STOPPED, Rule.BELOW_MINIMUM_TRUST, reason, numbers)


def restored(
    project: Project, record: TrustRecord, trust: Trust, minimum: float, rule: Rule
) -> Row:
    """That they get tasks again, and by which rule."""
    reason = _RESTORED[rule]
    numbers = {**_numbers(trust), "minimum_trust": round(minimum, 4)}
    return _row(project, record, Effect.RESTORED, rule, reason, numbers)


_RESTORED: Mapping[Rule, str] = {
    Rule.POLICY_CHANGED: "This project's rule was changed: you get tasks again.",
    Rule.CONTEST_UPHELD: "You were judged anew, and are above what is asked: you get tasks again.",
    Rule.GOLD_WAS_WRONG: (
        "A check task that you were judged by was wrong: you get tasks again, and are paid for "
        "what was rejected because of it."
    ),
}


def lowered(project: Project, record: TrustRecord, trust: Trust, before: float) -> Row:
    """That what is thought of their answers has fallen."""
    reason = (
        f"Your answers in this project were found right {percent(trust.mean)} of the time lately; "
        f"before, it was {percent(before)}. They weigh less beside those of others now."
    )
    numbers = {**_numbers(trust), "before": round(before, 4)}
    return _row(project, record, Effect.LOWERED, Rule.LOWERED_TRUST, reason, numbers)


def _row(
    project: Project,
    record: TrustRecord,
    effect: Effect,
    rule: Rule,
    reason: str,
    numbers: dict[str, float],
) -> Row:
    return {
        "project_id": project.id,
        "earner_id": record.earner_id,
        "effect": effect,
        "rule": rule,
        "reason": reason,
        "numbers": numbers,
        "window_from": record.told_at or record.since,
        "policy_version": project.policy_version,
        "lease_id": None,
        "because_id": None,
    }


def _numbers(trust: Trust) -> dict[str, float]:
    return {
        "trust": round(trust.mean, 4),
        "check_tasks": trust.seen,
        "missed": trust.missed,
        "not_sure": trust.unsure,
    }
