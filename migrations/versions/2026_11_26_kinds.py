"""Every kind of annotation: answers of boxes list `objects`; builds have options.

Locks: ACCESS EXCLUSIVE on dataset_runs, milliseconds; and every answer, label and gold of box
projects while it is written anew (there is no release yet, and nowhere are they many).
Deploy order: just before the code, with workers and API stopped.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "kinds"
down_revision = "invitations"
branch_labels = None
depends_on = None

USUAL = """
UPDATE dataset_runs
SET options = '{"formats": ["coco", "json-lines", "parquet"], "splits": null, "pictures": false}'
WHERE kind = 'build'
"""
RENAMED = (("answers", "value"), ("tasks", "label"), ("gold", "expected"))


def upgrade() -> None:
    op.add_column("dataset_runs", sa.Column("options", postgresql.JSONB(), nullable=True))
    op.execute(USUAL)
    _rename("boxes", "objects")


def downgrade() -> None:
    _rename("objects", "boxes")
    op.drop_column("dataset_runs", "options")


def _rename(old: str, new: str) -> None:
    for table, column in RENAMED:
        op.execute(
            f"UPDATE {table} SET {column} = {column} - '{old}'"
            f" || jsonb_build_object('{new}', {column} -> '{old}')"
            f" WHERE {column} ? '{old}'"
        )
