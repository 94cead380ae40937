"""How earners draw, by what others drew of the same tasks.

Locks: ACCESS EXCLUSIVE on trust, milliseconds (a column without a default).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op

revision = "beside_others"
down_revision = "resumed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trust", sa.Column("others", sa.ARRAY(sa.Float())))


def downgrade() -> None:
    op.drop_column("trust", "others")
