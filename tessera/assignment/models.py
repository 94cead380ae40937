"""Tasks, their queue, and who holds which of them.

Every table here leads with `project_id`, so that it can be partitioned by project. Capacity is a
thing, not a count: a task has numbered *places*, and each place is at any time either one queue
entry, or one live lease, or neither; `assignment.queue` says what sees to it.
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    UniqueConstraint,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base

POSITIONS = Sequence("queue_positions", data_type=BigInteger, metadata=Base.metadata)
NOW_MICROSECONDS = text("(extract(epoch FROM now()) * 1000000)::bigint")

LIVE_LEASE = "state IN ('open', 'answered')"
"""A lease that occupies its place: somebody works on it, or has answered it."""


class TaskState(StrEnum):
    WAITING = "waiting"
    """Not yet paid for by a launch."""
    OPEN = "open"
    REVIEW = "review"
    SETTLED = "settled"
    RETURNED = "returned"
    """What it is about was found wrong, and is being made anew."""


class Lane(IntEnum):
    """Entries of a lower lane are handed out first. Gold is drawn by chance, apart from these."""

    HARD = -1
    """People do not agree: kept for a while for those who are strong in what it takes."""
    SOON = 0
    NORMAL = 1
    GOLD = 2


ANYBODYS = (Lane.SOON, Lane.NORMAL)
"""Lanes of which everybody is served."""


class LeaseState(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    RETURNED = "returned"
    EXPIRED = "expired"


class Outcome(StrEnum):
    ANSWERED = "answered"
    NOT_SURE = "not_sure"
    BROKEN = "broken"
    """The picture does not load, or the question does not fit it."""


class Verdict(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Task(Base):
    __tablename__ = "tasks"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "id"),
        Index("ix_tasks_id", "id"),
        UniqueConstraint("project_id", "tile_id", "pair"),
        Index("ix_tasks_review", "project_id", "opened_at", postgresql_where="state = 'review'"),
        Index("ix_tasks_waiting", "project_id", postgresql_where="state = 'waiting'"),
        Index("ix_tasks_gold", "project_id", postgresql_where="is_gold"),
        CheckConstraint("places_used <= places", name="places"),
    )

    project_id: Mapped[UUID]
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    tile_id: Mapped[UUID]
    pair: Mapped[int] = mapped_column(Integer, server_default="0")
    """From 0, of several tasks about one tile: as there are where pieces may be joined."""
    state: Mapped[TaskState] = mapped_column(default=TaskState.WAITING)
    is_gold: Mapped[bool] = mapped_column(default=False)
    """The right answer is known (`quality.models.Gold`). Never leaves through an earner's door."""
    is_view: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Gold that shows another picture of what an older task asks: no part of what is labelled."""
    retired_at: Mapped[datetime | None]
    """Of gold that nobody is asked any more: places that come back stay free."""
    places: Mapped[int] = mapped_column(Integer, default=0)
    """Answers that may at most be paid; what a launch has reserved money for."""
    places_used: Mapped[int] = mapped_column(Integer, default=0)
    """Places put into the queue so far, numbered from 1."""
    opened_at: Mapped[datetime | None]
    reopened_at: Mapped[datetime | None]
    """Asked anew, after a later stage had sent it back, or an earlier one made its subject anew."""
    doubted_at: Mapped[datetime | None]
    """Was settled, and is asked about again, as an estimate of all answers found it not so sure."""
    subject: Mapped[dict[str, Any] | None]
    """An existing annotation that it is about, and why that was sent back if it was: tile pixels.

    As an earner would have sent it, so that it does not tell where it comes from.
    """
    label: Mapped[dict[str, Any] | None]
    """The accepted label, tile pixels."""
    confidence: Mapped[float | None]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None]
    """`consensus`, `review` or `gold`."""
    policy_version: Mapped[int | None]
    """Of the quality policy that it was settled by."""
    review_reason: Mapped[str | None]


class Maker(Base):
    """An earner who had a part in what a task is about, and is never asked it."""

    __tablename__ = "makers"
    __table_args__ = (PrimaryKeyConstraint("project_id", "task_id", "earner_id"),)

    project_id: Mapped[UUID]
    task_id: Mapped[UUID]
    earner_id: Mapped[UUID]


class QueueEntry(Base):
    """A free place of a task. Taking it is deleting it."""

    __tablename__ = "queue_entries"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "lane", "position"),
        UniqueConstraint("project_id", "task_id", "place"),
        Index("ix_queue_entries_kept", "kept_until", postgresql_where="kept_until IS NOT NULL"),
    )

    project_id: Mapped[UUID]
    lane: Mapped[int] = mapped_column(SmallInteger)
    position: Mapped[int] = mapped_column(server_default=POSITIONS.next_value())
    task_id: Mapped[UUID]
    place: Mapped[int] = mapped_column(Integer)
    gain: Mapped[float] = mapped_column(default=1.0, server_default="1")
    """How much of the risk of a wrong label one more answer is expected to remove; 1 where it is
    needed whatever it says."""
    needs: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    """Of a hard one: what to be strong in, as `Standing.strengths` has it."""
    kept_until: Mapped[datetime | None]
    """Of a hard one: from then on it is anybody's."""


class Standing(Base):
    """One earner in one project: whether they may work, and how far they have come."""

    __tablename__ = "standings"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "earner_id"),
        Index("ix_standings_earner_id", "earner_id"),
        Index("ix_standings_strong", "project_id", postgresql_where="strengths <> '{}'"),
    )

    project_id: Mapped[UUID]
    earner_id: Mapped[UUID]
    blocked_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    """For the earner to read."""
    stopped_by: Mapped[UUID | None]
    """A person who decided so; none: the rule, which may let them back, too."""
    step: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    """What follows from how they answer, as `truth.response.Step` counts it."""
    next_lease_at: Mapped[datetime | None]
    """Who is slowed down gets no more tasks before."""
    gold_chance: Mapped[float]
    """Chance that the next task is gold; quality writes it, leasing only rolls the dice."""
    strengths: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), default=list, server_default="{}"
    )
    """Choices that they tell better than others do, and `truth.strengths.EVERYTHING`; so this."""
    leased_at: Mapped[datetime | None]
    """When they last asked for tasks."""
    soon_position: Mapped[int] = mapped_column(default=0)
    """Cursors: entries of a lane up to here were seen; so the other two."""
    normal_position: Mapped[int] = mapped_column(default=0)
    gold_position: Mapped[int] = mapped_column(default=0)
    trained_at: Mapped[datetime | None]
    """When they passed the project's training, if it has one."""


class Lease(Base):
    __tablename__ = "leases"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "id"),
        Index("ix_leases_id", "id"),
        # nobody gets the same task twice, whatever became of the first time
        UniqueConstraint("project_id", "task_id", "earner_id"),
        Index(
            "uq_leases_place",
            "project_id",
            "task_id",
            "place",
            unique=True,
            postgresql_where=LIVE_LEASE,
        ),
        Index("ix_leases_due", "expires_at", postgresql_where="state = 'open'"),
        Index("ix_leases_held", "earner_id", postgresql_where="state = 'open'"),
    )

    project_id: Mapped[UUID]
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    task_id: Mapped[UUID]
    earner_id: Mapped[UUID]
    lane: Mapped[int] = mapped_column(SmallInteger)
    place: Mapped[int] = mapped_column(Integer)
    fence: Mapped[int] = mapped_column(server_default=NOW_MICROSECONDS)
    """Grows with every lease of a place: of two, the higher is the one that counts.

    It is the time of the lease and not drawn from a sequence: the leases of one call have the
    same, so that their order does not tell which were drawn as gold.
    """
    state: Mapped[LeaseState] = mapped_column(default=LeaseState.OPEN)
    leased_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    closed_reason: Mapped[str | None]
    """Why it was returned: `skip` or `later`."""


LEASE_IS_OPEN: ColumnElement[bool] = literal_column("leases.state = 'open'", Boolean())
LEASE_IS_LIVE: ColumnElement[bool] = literal_column(f"leases.{LIVE_LEASE}", Boolean())
TASK_IS_WAITING: ColumnElement[bool] = literal_column("tasks.state = 'waiting'", Boolean())
"""Not as parameters: of those a generic plan does not know that a partial index serves them."""


class Answer(Base):
    """What the earner sent: exactly one per lease."""

    __tablename__ = "answers"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "lease_id"),
        ForeignKeyConstraint(
            ["project_id", "lease_id"], ["leases.project_id", "leases.id"], name="fk_answers_lease"
        ),
        Index("ix_answers_task_id", "project_id", "task_id"),
        Index(
            "ix_answers_pending", "project_id", "earner_id", postgresql_where="verdict = 'pending'"
        ),
        Index("ix_answers_repair", "repair_until", postgresql_where="repair_until IS NOT NULL"),
    )

    project_id: Mapped[UUID]
    lease_id: Mapped[UUID]
    task_id: Mapped[UUID]
    earner_id: Mapped[UUID]
    outcome: Mapped[Outcome]
    value: Mapped[dict[str, Any] | None]
    """The canonical answer, tile pixels; none unless the outcome is `answered`."""
    answered_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seconds: Mapped[float]
    """Time spent: what the client says, but never more than passed since the lease."""
    score: Mapped[float | None]
    """Against gold, 0 to 1."""
    agreement: Mapped[float | None]
    """With the settled label, 0 to 1."""
    verdict: Mapped[Verdict] = mapped_column(default=Verdict.PENDING)
    repair_until: Mapped[datetime | None]
    """It may be corrected once until then, or else is not paid."""
    repaired_at: Mapped[datetime | None]
    first_value: Mapped[dict[str, Any] | None]
    """What `value` was before it was corrected."""
