"""Views of gold, which gold was retired and why, and what is known of each.

Locks: ACCESS EXCLUSIVE on tasks and gold, milliseconds (columns that are null, or whose default is
the same for all rows); SHARE on gold while its small index is built.
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "gold_exposure"
down_revision = "decisions"
branch_labels = None
depends_on = None

_HEALTH = ("accuracy", "expected_accuracy", "early_accuracy", "late_accuracy", "pace", "strength")


def upgrade() -> None:
    op.add_column(
        "tasks", sa.Column("is_view", sa.Boolean(), nullable=False, server_default="false")
    )
    op.add_column("tasks", sa.Column("retired_at", sa.DateTime(timezone=True)))
    op.add_column("gold", sa.Column("view_of", sa.Uuid()))
    op.add_column("gold", sa.Column("view", JSONB()))
    op.add_column("gold", sa.Column("retired_reason", sa.String(32)))
    op.add_column("gold", sa.Column("no_view", sa.String(32)))
    op.add_column("gold", sa.Column("answers", sa.BigInteger(), nullable=False, server_default="0"))
    for name in _HEALTH:
        op.add_column("gold", sa.Column(name, sa.Float()))
    op.add_column("gold", sa.Column("checked_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_gold_view_of",
        "gold",
        ["project_id", "view_of"],
        postgresql_where=sa.text("view_of IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_gold_view_of", table_name="gold")
    for name in ("checked_at", *_HEALTH, "answers", "no_view", "retired_reason", "view", "view_of"):
        op.drop_column("gold", name)
    op.drop_column("tasks", "retired_at")
    op.drop_column("tasks", "is_view")
