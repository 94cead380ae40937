"""Verdicts: which answers to a decided task are accepted, and paid, and which are not.

An answer is accepted, whoever the majority are. It is rejected on evidence about itself: its earner
was stopped, and it has less in common with a label that is as good as certain than chance excuses.
Where objects are drawn it may be corrected first, once.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Task, Verdict
from tessera.assignment.questions import questions_of
from tessera.decisions import service as decisions
from tessera.decisions.models import Effect, Rule
from tessera.earnings import service as earnings
from tessera.earnings.models import Earning
from tessera.kernel import db
from tessera.kinds import Kind, Label, Objects, Question, Tally, kind_of
from tessera.projects.models import Project, ProjectState
from tessera.quality import judge
from tessera.quality.case import Case, gold_of
from tessera.quality.hints import hint
from tessera.truth.signals import percent

WRONG_BELOW = 0.5
"""Less in common with the label, and an answer is wrong."""
CERTAIN = 0.9
"""Confidence from which a label is evidence against anybody."""
REPAIRED_WITHIN = timedelta(days=3)


class Wrong(NamedTuple):
    """An answer that is not accepted as it is, and what it is compared with."""

    answer: Answer
    label: Label
    agreement: float
    question: Question | None
    """None if nobody needs it: only objects can be corrected."""


async def decide(session: AsyncSession, case: Case, task: Task) -> None:
    """Decide what is pending on a settled task, and some of the same earners' gold."""
    pending = [
        each
        for each in case.answers.get(task.id, [])
        if each.verdict is Verdict.PENDING and each.repair_until is None
    ]
    wrong: list[Wrong] = []
    for each in pending:
        if each.value is None or task.label is None or each.lease_id in case.stale:
            continue
        question = case.questions[task.id]
        agreement = await asyncio.to_thread(case.kind.score, each.value, task.label, question)
        each.agreement = agreement
        is_certain = (task.confidence or 0.0) >= CERTAIN
        if each.earner_id in case.blocked and is_certain and agreement < WRONG_BELOW:
            wrong.append(Wrong(each, task.label, agreement, question))
    await _say(session, case, pending, wrong)
    # after the others are decided: the dice count what still waits
    gold = await _gold_answers(session, task.project_id, [each.earner_id for each in pending])
    await _say(session, case, gold, await _wrong_gold(session, case, gold))


async def _say(
    session: AsyncSession, case: Case, answers: Sequence[Answer], wrong: Sequence[Wrong]
) -> None:
    refused = {each.answer.lease_id for each in wrong}
    right = [each for each in answers if each.lease_id not in refused]
    await accept(session, case.project.id, right)
    await refuse(session, case.project, wrong)


async def _wrong_gold(session: AsyncSession, case: Case, gold: Sequence[Answer]) -> list[Wrong]:
    missed = [
        each
        for each in gold
        if each.earner_id in case.blocked
        and each.value is not None
        and each.score is not None
        and each.score < WRONG_BELOW
    ]
    if not missed:
        return []
    task_ids = [each.task_id for each in missed]
    known = await gold_of(session, case.project.id, task_ids)
    drawn = isinstance(case.kind, Objects)
    questions = await questions_of(session, case.project, task_ids) if drawn else {}
    return [
        Wrong(each, known[each.task_id].expected, each.score or 0.0, questions.get(each.task_id))
        for each in missed
    ]


async def accept(session: AsyncSession, project_id: UUID, answers: Sequence[Answer]) -> None:
    """Accept answers; whoever decides about the same earnings just now approves them, too."""
    if not answers:
        return
    for each in answers:
        each.verdict, each.repair_until = Verdict.ACCEPTED, None
    await session.flush()
    await earnings.approve(session, _of_leases(project_id, answers), skip_locked=True)


async def refuse(session: AsyncSession, project: Project, wrong: Sequence[Wrong]) -> None:
    """Reject answers of stopped earners, or let them be corrected; with a receipt for each."""
    if not wrong:
        return
    stops = {
        earner_id: await decisions.last_stop(session, project.id, earner_id)
        for earner_id in sorted({each.answer.earner_id for each in wrong})
    }
    rows = []
    kind = kind_of(project.kind)
    for each in wrong:
        reason = (
            f"This answer has {percent(each.agreement)} in common with the settled label; "
            f"at least {percent(WRONG_BELOW)} is asked for."
        )
        if is_repairable(project, each):
            told = hint(await _tally(kind, each))
            each.answer.repair_until = func.now() + REPAIRED_WITHIN
            effect, said = Effect.REPAIR, f"{reason} {told} You may correct it once."
        elif await _rejected(session, project.id, each.answer, reason):
            each.answer.verdict, each.answer.repair_until = Verdict.REJECTED, None
            effect, said = Effect.REJECTED, reason
        else:  # it was approved meanwhile
            each.answer.verdict, each.answer.repair_until = Verdict.ACCEPTED, None
            continue
        numbers = {"agreement": round(each.agreement, 4), "asked_for": WRONG_BELOW}
        rows.append(
            {
                "project_id": project.id,
                "earner_id": each.answer.earner_id,
                "effect": effect,
                "rule": Rule.UNLIKE_THE_LABEL,
                "reason": said,
                "numbers": numbers,
                "policy_version": project.policy_version,
                "lease_id": each.answer.lease_id,
                "because_id": stops[each.answer.earner_id],
            }
        )
    await session.flush()
    for each in wrong:
        await session.refresh(each.answer, ["repair_until"])
    await decisions.note(session, rows)


def is_repairable(project: Project, wrong: Wrong) -> bool:
    """Whether it helps to try again: to choose once more, knowing that one was wrong, does not."""
    return (
        wrong.question is not None
        and "objects" in wrong.label
        and wrong.answer.repaired_at is None
        and wrong.answer.repair_until is None
        and project.state is not ProjectState.COMPLETED
    )


async def _tally(kind: Kind, wrong: Wrong) -> Tally:
    if not isinstance(kind, Objects) or wrong.question is None or wrong.answer.value is None:
        raise TypeError("only drawn objects are counted")
    return await asyncio.to_thread(kind.tally, wrong.answer.value, wrong.label, wrong.question)


async def _rejected(session: AsyncSession, project_id: UUID, answer: Answer, reason: str) -> bool:
    rejected = await earnings.reject(
        session,
        _of_leases(project_id, [answer]),
        code=Rule.UNLIKE_THE_LABEL,
        reason=reason,
        contestable_for=decisions.CONTESTABLE_FOR,
    )
    return bool(rejected)


async def lock_answers(
    session: AsyncSession, project_id: UUID, lease_ids: Collection[UUID]
) -> None:
    """In the order of leases, as all who lock several do."""
    theirs = select(Answer.lease_id).where(
        Answer.project_id == project_id, Answer.lease_id.in_(lease_ids)
    )
    await session.execute(db.locking(theirs.order_by(Answer.lease_id)))


async def pay_after_all(
    session: AsyncSession, project_id: UUID, lease_ids: Collection[UUID], *, code: str, reason: str
) -> int:
    """Accept answers that were rejected, or were to be corrected; returns how many of the former.

    Not those whose money has gone back, long after their project was completed.
    """
    if not lease_ids:
        return 0
    which = (Earning.project_id == project_id) & Earning.lease_id.in_(lease_ids)
    paid = await earnings.pay_after_all(session, which, code=code, reason=reason)
    theirs = (Answer.project_id == project_id) & Answer.lease_id.in_(lease_ids)
    await session.execute(
        update(Answer)
        .where(theirs, Answer.lease_id.in_(paid) | Answer.repair_until.is_not(None))
        .values(verdict=Verdict.ACCEPTED, repair_until=None)
        .execution_options(synchronize_session=False)
    )
    await earnings.approve(session, which)
    return len(paid)


async def _gold_answers(
    session: AsyncSession, project_id: UUID, earner_ids: Sequence[UUID]
) -> Sequence[Answer]:
    """Answers of some earners to gold tasks that are decided now, locked.

    Each is decided together with one of its earner's ordinary answers, drawn at random: whose were
    always the first to be decided would be known.

    They are not under the lock of the task that is being settled. SKIP LOCKED: whoever has one
    locked is accepting or scoring it, and waiting for them here could be a deadlock.
    """
    drawn = await session.scalars(
        _DRAWN, {"project_id": project_id, "earner_ids": list(earner_ids)}
    )
    gold = select(Answer).where(
        Answer.project_id == project_id,
        Answer.lease_id.in_(drawn.all()),
        judge.IS_PENDING,
        Answer.repair_until.is_(None),
    )
    gold = gold.order_by(Answer.lease_id)
    return (await session.scalars(db.locking(gold, skip_locked=True))).all()


# The answer that is being decided counts as one, besides those that wait; of very many that wait,
# some are enough to go by. The dice are thrown below the WHERE, or one throw would do for all gold.
_DRAWN = text(
    """
    SELECT lease_id FROM (
      SELECT gold.lease_id, waiting.ordinary, random() AS dice
      FROM unnest(CAST(:earner_ids AS uuid[])) AS earner (id), LATERAL (
        SELECT count(*) FILTER (WHERE NOT is_gold) + 1 AS ordinary,
               array_agg(lease_id) FILTER (WHERE is_gold) AS gold_ids
        FROM (
          SELECT answers.lease_id, tasks.is_gold FROM answers
          JOIN tasks ON tasks.project_id = answers.project_id AND tasks.id = answers.task_id
          WHERE answers.project_id = :project_id AND answers.earner_id = earner.id
            AND answers.verdict = 'pending' AND answers.repair_until IS NULL
          LIMIT 1000
        ) AS seen
      ) AS waiting, unnest(waiting.gold_ids) AS gold (lease_id)
    ) AS thrown
    WHERE dice * ordinary < 1
    """
)


def _of_leases(project_id: UUID, answers: Sequence[Answer]) -> ColumnElement[bool]:
    lease_ids = [each.lease_id for each in answers]
    return (Earning.project_id == project_id) & Earning.lease_id.in_(lease_ids)
