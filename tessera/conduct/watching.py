"""Looking for unusual ways of answering, and what follows: more gold, slower, a person looks.

It suspects; it shuts nobody out, rejects nothing and pays nothing (ADR 14).
"""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Session
from tessera.assignment.models import Standing, Task
from tessera.conduct.models import Suspicion
from tessera.decisions import service as decisions
from tessera.decisions.models import Effect, Rule
from tessera.images.models import Tile
from tessera.payouts.models import Destination
from tessera.projects.models import Project, ProjectState
from tessera.quality import judge, pardons
from tessera.quality.answered import Answered
from tessera.truth.cheating import Log, find
from tessera.truth.linkage import Key
from tessera.truth.response import Response, Step, reached, respond
from tessera.truth.votes import Indices

Keys = Mapping[Key, Sequence[bytes | None]]
AT_ONCE = 5_000
"""Ids in one statement."""
LEAST_SECONDS = 0.05
"""Nobody is faster; who says so is taken to be as fast."""
WORSE = 2.0
"""Powers of ten by which a signal must have grown since a person looked, to be shown again."""


async def keys_of(session: AsyncSession, found: Answered) -> Keys:
    """What accounts share, opaque: payout destinations and devices, of each earner or None."""
    people = found.earner_ids()
    payout: dict[UUID, bytes] = {}
    device: dict[UUID, bytes | None] = {}
    for start in range(0, len(people), AT_ONCE):
        some = people[start : start + AT_ONCE]
        accounts = await session.execute(
            select(Destination.earner_id, Destination.details).where(
                Destination.earner_id.in_(some)
            )
        )
        payout |= {earner: _digest(details) for earner, details in accounts}
        used = await session.execute(
            select(Session.person_id, Session.device_sha256)
            .where(Session.person_id.in_(some), Session.device_sha256.is_not(None))
            .order_by(Session.created_at)
        )
        device |= dict(used.all())  # of several, the one that was used last
    return {
        Key.PAYOUT: [payout.get(each) for each in people],
        Key.DEVICE: [device.get(each) for each in people],
    }


def _digest(details: dict[str, Any]) -> bytes:
    # the account alone: of one account with two names, one is made up; and however it is written
    account = [value for name, value in sorted(details.items()) if name != "holder"]
    return sha256("".join(filter(str.isalnum, "".join(account).upper())).encode()).digest()


async def sizes_of(
    session: AsyncSession, project: Project, found: Answered, work: Indices
) -> Indices:
    """Shape (n_items,): which tasks are about as much, by their pixels and what there is to do.

    Args:
        work: Shape (n_items,), as a power of two; likewise pixels, in here.
    """
    if not project.slicing["whole"]:
        return work  # all tiles are alike
    task_ids = found.task_ids(np.arange(len(found.tasks)))
    area = (Tile.window_right - Tile.window_left) * (Tile.window_bottom - Tile.window_top)
    pixels = dict[UUID, int]()
    for start in range(0, len(task_ids), AT_ONCE):
        some = task_ids[start : start + AT_ONCE]
        rows = await session.execute(
            select(Task.id, area)
            .join(Tile, Tile.id == Task.tile_id)
            .where(Task.project_id == project.id, Task.id.in_(some))
        )
        pixels |= {task_id: int(area).bit_length() for task_id, area in rows}
    sizes = np.array([pixels.get(each, 0) for each in task_ids], dtype=np.int64)
    return np.unique(np.stack((sizes, work)), axis=1, return_inverse=True)[1].ravel()


async def unusual(found: Answered, keys: Keys, sizes: Indices) -> dict[UUID, Response]:
    """Of whom anything is told; in a thread: it takes seconds for a million answers."""
    return await asyncio.to_thread(_unusual, found, keys, sizes)


def _unusual(found: Answered, keys: Keys, sizes: Indices) -> dict[UUID, Response]:
    if not len(found.votes):
        return {}
    seconds = np.maximum(found.seconds, LEAST_SECONDS)
    log = Log(found.votes, found.gold, seconds, found.at, sizes, keys)
    people = found.earner_ids()
    return {people[each.earner]: each for each in respond(find(log))}


async def suspected(session: AsyncSession, project_id: UUID) -> set[UUID]:
    """Earners of whom something was told before."""
    known = select(Suspicion.earner_id).where(Suspicion.project_id == project_id)
    return set((await session.scalars(known)).all())


async def note(
    session: AsyncSession,
    project_id: UUID,
    earner_ids: Sequence[UUID],
    told: Mapping[UUID, Response],
) -> None:
    """Note what is told of some earners now, and have it lead to what it must; with receipts."""
    records = await judge.locked_records(session, project_id, sorted(earner_ids))
    # read under the locks: its policy may have been edited meanwhile, and everybody rated again
    project = await session.get_one(Project, project_id)
    if project.state is ProjectState.COMPLETED:
        return
    before = {
        each.earner_id: each
        for each in await session.scalars(
            select(Suspicion).where(
                Suspicion.project_id == project_id, Suspicion.earner_id.in_(earner_ids)
            )
        )
    }
    for record in records:
        earner_id = record.earner_id
        response = told.get(earner_id)
        step = Step.NONE if response is None else response.step
        known = before.get(earner_id)
        if known is not None and known.looked_at is not None and not _is_worse(known, response):
            continue  # a person has looked at this
        standing = await pardons.standing_of(session, project_id, earner_id)
        if standing is None or standing.blocked_at is not None:
            continue
        was = Step(standing.step)
        await _keep(session, project_id, earner_id, step, response)
        if step != was:
            await pardons.take_step(session, project, record, step)
            await decisions.note(session, [_receipt(project, standing, step, response)])


async def looked(
    session: AsyncSession, project_id: UUID, earner_id: UUID, *, by: UUID | None
) -> Suspicion | None:
    """Note that what was told of an earner is decided; their record is locked.

    Args:
        by: A person; none: nobody answered a contest of it in time.
    """
    suspicion = await session.get(Suspicion, (project_id, earner_id), populate_existing=True)
    if suspicion is not None:
        suspicion.looked_at, suspicion.looked_by = func.now(), by
    return suspicion


def _is_worse(known: Suspicion, response: Response | None) -> bool:
    if response is None:
        return False
    new = {kind.value for kind in response.kinds} - set(known.signals)
    return bool(new) or max(response.strengths) >= max(known.strengths, default=0.0) + WORSE


async def _keep(
    session: AsyncSession,
    project_id: UUID,
    earner_id: UUID,
    step: Step,
    response: Response | None,
) -> None:
    values = {
        "step": int(step),
        "signals": [] if response is None else [each.value for each in response.kinds],
        "strengths": [] if response is None else list(response.strengths),
        "evidence": [] if response is None else list(response.evidence),
        "found_at": func.now(),
        "looked_at": None,
        "looked_by": None,
    }
    await session.execute(
        insert(Suspicion)
        .values(project_id=project_id, earner_id=earner_id, **values)
        .on_conflict_do_update(index_elements=["project_id", "earner_id"], set_=values)
    )


_FOLLOWS: Mapping[Step, tuple[Effect, str]] = {
    Step.NONE: (Effect.RESTORED, "Your answers are as usual again: nothing follows any more."),
    Step.MORE_GOLD: (
        Effect.CHECKED,
        "For a while, more of your answers are compared with known ones.",
    ),
    Step.SLOWER: (Effect.SLOWED, "For a while, you get tasks a few at a time."),
    Step.REVIEW: (
        Effect.SLOWED,
        "Somebody will look at it. Until then, you get tasks a few at a time.",
    ),
}


def _receipt(
    project: Project, standing: Standing, step: Step, response: Response | None
) -> dict[str, Any]:
    effect, follows = _FOLLOWS[step]
    evidence = () if response is None else response.evidence
    pairs = () if response is None else zip(response.kinds, response.strengths, strict=True)
    return {
        "project_id": project.id,
        "earner_id": standing.earner_id,
        "effect": effect,
        "rule": Rule.UNUSUAL_ANSWERS,
        "reason": " ".join([*evidence, follows]),
        "numbers": {kind.value: reached(strength) for kind, strength in pairs},
        "window_from": project.launched_at,
        "policy_version": project.policy_version,
    }
