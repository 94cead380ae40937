"""Which files an import of images passed over, and why.

Locks: ACCESS EXCLUSIVE on imports, milliseconds (its default is the same for all rows).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "skipped_files"
down_revision = "left_out"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "imports", sa.Column("skipped_files", JSONB(), nullable=False, server_default="[]")
    )


def downgrade() -> None:
    op.drop_column("imports", "skipped_files")
