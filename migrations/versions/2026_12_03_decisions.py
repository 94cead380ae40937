"""What was decided about people and what they say to it, policies by version, and repairs.

Locks: ACCESS EXCLUSIVE on projects, tasks, standings, answers, earnings, trust and sessions,
milliseconds (columns that are null, or have a constant default).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "decisions"
down_revision = "estimates"
branch_labels = None
depends_on = None

CONTESTED = "contested_at IS NOT NULL AND resolved_at IS NULL"


def _time(name: str, *, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def upgrade() -> None:
    _decisions()
    _suspicions()
    _policies()
    _gold_repairs()
    op.add_column("standings", sa.Column("stopped_by", sa.Uuid()))
    op.add_column(
        "standings", sa.Column("step", sa.SmallInteger(), server_default="0", nullable=False)
    )
    op.add_column("standings", _time("next_lease_at"))
    op.add_column("answers", _time("repair_until"))
    op.add_column("answers", _time("repaired_at"))
    op.add_column("answers", sa.Column("first_value", JSONB()))
    op.add_column("earnings", _time("contestable_until"))
    unsure = sa.Column("unsure", sa.BigInteger(), server_default="0", nullable=False)
    op.add_column("trust", unsure)
    op.add_column("trust", _time("since", now=True))
    op.add_column("trust", sa.Column("told_mean", sa.Float()))
    op.add_column("trust", _time("told_at"))
    op.add_column("trust", _time("forgiven_at"))
    op.add_column("sessions", sa.Column("device_sha256", sa.LargeBinary()))
    op.create_index(
        "ix_answers_repair",
        "answers",
        ["repair_until"],
        postgresql_where="repair_until IS NOT NULL",
    )
    op.create_index(
        "ix_earnings_contestable",
        "earnings",
        ["project_id"],
        postgresql_where="contestable_until IS NOT NULL",
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.gen_random_uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("effect", sa.String(32), nullable=False),
        sa.Column("rule", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("numbers", JSONB(), nullable=False),
        _time("window_from"),
        _time("window_to", now=True),
        sa.Column("policy_version", sa.BigInteger(), nullable=False),
        sa.Column("lease_id", sa.Uuid()),
        sa.Column("because_id", sa.Uuid()),
        sa.Column("decided_by", sa.Uuid()),
        _time("created_at", now=True),
        _time("contested_at"),
        sa.Column("contest", sa.String()),
        _time("due_at"),
        _time("resolved_at"),
        sa.Column("resolved_by", sa.Uuid()),
        sa.Column("upheld", sa.Boolean()),
        sa.Column("answer", sa.String()),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_decisions_project_id"),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_decisions"),
        sa.CheckConstraint(
            "(contested_at IS NULL) = (due_at IS NULL)", name=op.f("ck_decisions_due")
        ),
        sa.CheckConstraint(
            "(resolved_at IS NULL) = (upheld IS NULL)", name=op.f("ck_decisions_resolved")
        ),
        sa.CheckConstraint(
            "resolved_at IS NULL OR contested_at IS NOT NULL", name=op.f("ck_decisions_contested")
        ),
    )
    op.create_index("ix_decisions_id", "decisions", ["id"])
    op.create_index("ix_decisions_page", "decisions", ["earner_id", "created_at", "id"])
    op.create_index("ix_decisions_earner", "decisions", ["project_id", "earner_id", "created_at"])
    op.create_index("ix_decisions_because", "decisions", ["project_id", "because_id"])
    op.create_index("ix_decisions_open", "decisions", ["due_at"], postgresql_where=CONTESTED)
    op.create_index(
        "ix_decisions_contested",
        "decisions",
        ["project_id", "due_at", "id"],
        postgresql_where="contested_at IS NOT NULL",
    )
    op.create_index(
        "uq_decisions_lease",
        "decisions",
        ["project_id", "lease_id", "effect"],
        unique=True,
        postgresql_where="lease_id IS NOT NULL",
    )
    op.execute("ALTER TABLE decisions ALTER COLUMN project_id SET STATISTICS 0")


def _suspicions() -> None:
    op.create_table(
        "suspicions",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("signals", ARRAY(sa.String()), nullable=False),
        sa.Column("strengths", ARRAY(sa.Float()), nullable=False),
        sa.Column("evidence", ARRAY(sa.String()), nullable=False),
        _time("found_at", now=True),
        _time("looked_at"),
        sa.Column("looked_by", sa.Uuid()),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_suspicions_project_id"),
        sa.PrimaryKeyConstraint("project_id", "earner_id", name="pk_suspicions"),
    )
    op.execute("ALTER TABLE suspicions ALTER COLUMN project_id SET STATISTICS 0")


def _policies() -> None:
    op.create_table(
        "policies",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("quality", JSONB(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        _time("created_at", now=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_policies_project_id"),
        sa.PrimaryKeyConstraint("project_id", "version", name="pk_policies"),
    )
    op.execute("ALTER TABLE policies ALTER COLUMN project_id SET STATISTICS 0")
    op.execute(
        "INSERT INTO policies (project_id, version, quality, created_at) "
        "SELECT id, 1, quality, created_at FROM projects"
    )
    op.add_column(
        "projects", sa.Column("policy_version", sa.BigInteger(), server_default="1", nullable=False)
    )
    op.add_column("projects", sa.Column("paused_reason", sa.String()))
    op.add_column("tasks", sa.Column("policy_version", sa.BigInteger()))


def _gold_repairs() -> None:
    op.create_table(
        "gold_repairs",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("expected", JSONB(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid()),
        sa.Column("earners", sa.BigInteger(), nullable=False),
        sa.Column("restored", sa.BigInteger(), nullable=False),
        sa.Column("answers_paid", sa.BigInteger(), nullable=False),
        _time("created_at", now=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_gold_repairs_project_id"),
        sa.PrimaryKeyConstraint("project_id", "task_id", name="pk_gold_repairs"),
    )
    op.execute("ALTER TABLE gold_repairs ALTER COLUMN project_id SET STATISTICS 0")


def downgrade() -> None:
    op.drop_index("ix_earnings_contestable", "earnings")
    op.drop_index("ix_answers_repair", "answers")
    for table, column in (
        ("tasks", "policy_version"),
        ("projects", "paused_reason"),
        ("projects", "policy_version"),
        ("sessions", "device_sha256"),
        ("trust", "forgiven_at"),
        ("trust", "told_at"),
        ("trust", "told_mean"),
        ("trust", "since"),
        ("trust", "unsure"),
        ("earnings", "contestable_until"),
        ("answers", "first_value"),
        ("answers", "repaired_at"),
        ("answers", "repair_until"),
        ("standings", "next_lease_at"),
        ("standings", "step"),
        ("standings", "stopped_by"),
    ):
        op.drop_column(table, column)
    for table in ("gold_repairs", "policies", "suspicions", "decisions"):
        op.drop_table(table)
