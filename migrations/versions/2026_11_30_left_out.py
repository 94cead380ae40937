"""What of a file of annotations was left out though its image was taken.

Locks: ACCESS EXCLUSIVE on annotation_imports, milliseconds (its default is the same for all rows).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op

revision = "left_out"
down_revision = "georeferences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "annotation_imports",
        sa.Column("left_out", sa.BigInteger(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_column("annotation_imports", "left_out")
