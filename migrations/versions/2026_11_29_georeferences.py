"""Where on a map images are.

Locks: ACCESS EXCLUSIVE on images, milliseconds (a column without a default).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "georeferences"
down_revision = "annotation_imports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("georeference", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("images", "georeference")
