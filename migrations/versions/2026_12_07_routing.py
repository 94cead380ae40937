"""Hard tasks go to strong people first: what an entry needs, and who is strong in what.

Locks: ACCESS EXCLUSIVE on queue_entries and on standings, milliseconds (columns without a default,
or with a constant one), and as long as it takes to read each once for an index that is empty.
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "routing"
down_revision = "training"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "queue_entries", sa.Column("gain", sa.Float(), server_default="1", nullable=False)
    )
    op.add_column("queue_entries", sa.Column("needs", ARRAY(sa.BigInteger())))
    op.add_column("queue_entries", sa.Column("kept_until", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_queue_entries_kept",
        "queue_entries",
        ["kept_until"],
        postgresql_where="kept_until IS NOT NULL",
    )
    op.add_column(
        "standings",
        sa.Column("strengths", ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
    )
    op.add_column("standings", sa.Column("leased_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_standings_strong", "standings", ["project_id"], postgresql_where="strengths <> '{}'"
    )


def downgrade() -> None:
    op.drop_index("ix_standings_strong", table_name="standings")
    op.drop_column("standings", "leased_at")
    op.drop_column("standings", "strengths")
    op.execute("UPDATE queue_entries SET lane = 0 WHERE lane = -1")
    op.drop_index("ix_queue_entries_kept", table_name="queue_entries")
    op.drop_column("queue_entries", "kept_until")
    op.drop_column("queue_entries", "needs")
    op.drop_column("queue_entries", "gain")
