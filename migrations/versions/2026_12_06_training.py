"""Training: known answers with hints, who trains, and who has passed.

Locks: ACCESS EXCLUSIVE on standings, milliseconds (a column without a default).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "training"
down_revision = "audits"
branch_labels = None
depends_on = None

STATES = ("running", "passed", "failed")
OUTCOMES = ("answered", "not_sure", "broken")


def upgrade() -> None:
    op.create_table(
        "training_tasks",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("known_answer", JSONB(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("project_id", "task_id", name="pk_training_tasks"),
    )
    op.create_table(
        "trainings",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("questions", sa.BigInteger(), nullable=False),
        sa.Column("right_needed", sa.BigInteger(), nullable=False),
        sa.Column("places", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "right_needed BETWEEN 1 AND questions", name=op.f("ck_trainings_passable")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_trainings_project_id"),
        sa.PrimaryKeyConstraint("project_id", name="pk_trainings"),
    )
    op.create_table(
        "trainees",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Enum(*STATES, native_enum=False, length=32), nullable=False),
        sa.Column("place", sa.BigInteger()),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("again_at", sa.DateTime(timezone=True)),
        sa.Column("passed_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("(state = 'failed') = (place IS NULL)", name=op.f("ck_trainees_place")),
        sa.CheckConstraint(
            "(state = 'failed') = (again_at IS NOT NULL)", name=op.f("ck_trainees_again")
        ),
        sa.CheckConstraint(
            "(state = 'passed') = (passed_at IS NOT NULL)", name=op.f("ck_trainees_passed")
        ),
        sa.PrimaryKeyConstraint("project_id", "earner_id", name="pk_trainees"),
        sa.UniqueConstraint("project_id", "place", name="uq_trainees_project_id_place"),
    )
    op.create_table(
        "training_questions",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Enum(*OUTCOMES, native_enum=False, length=32)),
        sa.Column("value", JSONB()),
        sa.Column("score", sa.Float()),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "(outcome IS NULL) = (score IS NULL) AND (outcome IS NULL) = (answered_at IS NULL)",
            name=op.f("ck_training_questions_answered"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "earner_id"],
            ["trainees.project_id", "trainees.earner_id"],
            name="fk_training_questions_trainee",
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_training_questions"),
        sa.UniqueConstraint(
            "project_id",
            "earner_id",
            "attempt",
            "number",
            name="uq_training_questions_project_id_earner_id_attempt_number",
        ),
    )
    for table in ("training_tasks", "trainings", "trainees", "training_questions"):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN project_id SET STATISTICS 0")
    op.add_column("standings", sa.Column("trained_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("standings", "trained_at")
    op.drop_table("training_questions")
    op.drop_table("trainees")
    op.drop_table("trainings")
    op.drop_table("training_tasks")
