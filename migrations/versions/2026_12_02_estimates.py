"""What is known of a project's crowd, what each earner confuses, and which tasks were doubted.

Locks: ACCESS EXCLUSIVE on trust and tasks, milliseconds (columns without a default).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "estimates"
down_revision = "skipped_files"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "estimates",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("choices", ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("answers", sa.BigInteger(), nullable=False),
        sa.Column("prior", ARRAY(sa.Float()), nullable=False),
        sa.Column("common", ARRAY(sa.Float()), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=False),
        sa.Column("bias", ARRAY(sa.Float()), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column(
            "estimated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_estimates_project_id"),
        sa.PrimaryKeyConstraint("project_id", name="pk_estimates"),
    )
    op.execute("ALTER TABLE estimates ALTER COLUMN project_id SET STATISTICS 0")
    op.add_column("trust", sa.Column("counts", ARRAY(sa.Float())))
    op.add_column("tasks", sa.Column("doubted_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("tasks", "doubted_at")
    op.drop_column("trust", "counts")
    op.drop_table("estimates")
