"""When a project went on after a pause: broken tasks from before were seen by its operator.

Locks: ACCESS EXCLUSIVE on projects, milliseconds (a column without a default).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op

revision = "resumed"
down_revision = "routing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("resumed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("projects", "resumed_at")
