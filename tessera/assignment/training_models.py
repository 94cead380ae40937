"""Training: what it asks, who is at it, and what they have said.

None of it is gold: what trains people is told to them, so it can check nobody.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from tessera.assignment.models import Outcome
from tessera.kernel.db import Base


class TrainingTask(Base):
    """A task whose known answer is shown to those who train by it."""

    __tablename__ = "training_tasks"
    __table_args__ = (PrimaryKeyConstraint("project_id", "task_id"),)

    project_id: Mapped[UUID]
    task_id: Mapped[UUID]
    hint: Mapped[str]
    """What to look at, for the earner to read once they have answered; plain text."""
    known_answer: Mapped[dict[str, Any]]
    """Tile pixels."""
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Training(Base):
    """That a project trains people before they work: fixed, and paid for, by its launch.

    Whoever admits somebody holds the lock of this row.
    """

    __tablename__ = "trainings"
    __table_args__ = (
        PrimaryKeyConstraint("project_id"),
        CheckConstraint("right_needed BETWEEN 1 AND questions", name="passable"),
    )

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    questions: Mapped[int]
    """Of an attempt."""
    right_needed: Mapped[int]
    """So many of them make it a pass."""
    places: Mapped[int]
    """People who can pass; what the launch has reserved money for."""


class TraineeState(StrEnum):
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    """The last attempt; another one begins when its wait is over."""


class Trainee(Base):
    """One earner in the training of one project."""

    __tablename__ = "trainees"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "earner_id"),
        UniqueConstraint("project_id", "place"),
        CheckConstraint("(state = 'failed') = (place IS NULL)", name="place"),
        CheckConstraint("(state = 'failed') = (again_at IS NOT NULL)", name="again"),
        CheckConstraint("(state = 'passed') = (passed_at IS NOT NULL)", name="passed"),
    )

    project_id: Mapped[UUID]
    earner_id: Mapped[UUID]
    state: Mapped[TraineeState]
    place: Mapped[int | None]
    """From 1, of the training's: who passes keeps it for ever, who fails gives it back."""
    attempt: Mapped[int]
    """The last one, from 1; all before it have failed."""
    begun_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    """What is not answered by then is not right."""
    again_at: Mapped[datetime | None]
    passed_at: Mapped[datetime | None]


class TrainingQuestion(Base):
    """One task of one attempt, and what was said."""

    __tablename__ = "training_questions"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "id"),
        UniqueConstraint("project_id", "earner_id", "attempt", "number"),
        ForeignKeyConstraint(
            ["project_id", "earner_id"],
            ["trainees.project_id", "trainees.earner_id"],
            name="fk_training_questions_trainee",
        ),
        CheckConstraint(
            "(outcome IS NULL) = (score IS NULL) AND (outcome IS NULL) = (answered_at IS NULL)",
            name="answered",
        ),
    )

    project_id: Mapped[UUID]
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    """Stands for a lease, also in the earning if the attempt is passed."""
    earner_id: Mapped[UUID]
    attempt: Mapped[int]
    number: Mapped[int]
    """From 1, in the order in which they are asked."""
    task_id: Mapped[UUID]
    outcome: Mapped[Outcome | None]
    value: Mapped[dict[str, Any] | None]
    """The canonical answer, tile pixels."""
    score: Mapped[float | None]
    """0 to 1."""
    answered_at: Mapped[datetime | None]
