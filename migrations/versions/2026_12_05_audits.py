"""Audits of settled labels, and what reviewers decided and said.

Locks: SHARE on tasks, while the index of those in review is made.
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "audits"
down_revision = "gold_exposure"
branch_labels = None
depends_on = None

_RANDOM = sa.text("gen_random_uuid()")


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=_RANDOM, nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("reviewer_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("label", JSONB()),
        sa.Column("compared", JSONB()),
        sa.Column("score", sa.Float()),
        sa.Column("quality", JSONB(), nullable=False),
        sa.Column("second", sa.String(32), nullable=False),
        sa.Column("first_id", sa.Uuid()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_reviews"),
    )
    op.create_index("ix_reviews_task_id", "reviews", ["project_id", "task_id"])
    op.create_index("ix_reviews_page", "reviews", ["project_id", "created_at", "id"])
    for state in ("wanted", "differs"):
        op.create_index(
            f"ix_reviews_{state}",
            "reviews",
            ["project_id", "created_at", "id"],
            postgresql_where=sa.text(f"second = '{state}'"),
        )
    op.create_table(
        "audits",
        sa.Column("id", sa.Uuid(), server_default=_RANDOM, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("population", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("right_from", sa.Float(), nullable=False),
        sa.Column("quality", JSONB(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("size > 0 AND size <= population", name=op.f("ck_audits_size")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_audits_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audits"),
    )
    op.create_index("ix_audits_page", "audits", ["project_id", "created_at", "id"])
    op.create_table(
        "audit_tasks",
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("label", JSONB(), nullable=False),
        sa.Column("subject", JSONB()),
        sa.Column("confidence", sa.Float()),
        sa.Column("is_right", sa.Boolean()),
        sa.Column("is_corrected", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("review_id", sa.Uuid()),
        sa.ForeignKeyConstraint(["audit_id"], ["audits.id"], name="fk_audit_tasks_audit_id"),
        sa.PrimaryKeyConstraint("audit_id", "number", name="pk_audit_tasks"),
        sa.UniqueConstraint("audit_id", "task_id", name="uq_audit_tasks_audit_id_task_id"),
    )
    for table in ("reviews", "audits", "audit_tasks"):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN project_id SET STATISTICS 0")
    op.create_index(
        "ix_tasks_review_risk",
        "tasks",
        ["project_id", sa.text("(coalesce(confidence, 0) - 1)"), "opened_at", "id"],
        postgresql_where=sa.text("state = 'review'"),
    )


def downgrade() -> None:
    op.drop_index("ix_tasks_review_risk", "tasks")
    op.drop_table("audit_tasks")
    op.drop_table("audits")
    op.drop_table("reviews")
