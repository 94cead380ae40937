"""Imports of annotation files, and their reports.

Locks: SHARE ROW EXCLUSIVE on projects, milliseconds (a foreign key of an empty table).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op

revision = "annotation_imports"
down_revision = "stages"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "annotation_imports",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum("gold", "predictions", name="purpose", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "registered",
                "running",
                "done",
                "refused",
                name="annotationimportstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("tasks", sa.BigInteger(), nullable=False),
        sa.Column("left_tasks", sa.BigInteger(), nullable=False),
        sa.Column("untold_tiles", sa.BigInteger(), nullable=False),
        sa.Column("refused_records", sa.BigInteger(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_annotation_imports_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation_imports")),
    )
    op.create_index(op.f("ix_annotation_imports_project_id"), "annotation_imports", ["project_id"])
    op.execute("ALTER TABLE annotation_imports ALTER COLUMN project_id SET STATISTICS 0")
    op.create_table(
        "annotation_import_lines",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("image", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("tasks", sa.BigInteger(), nullable=False),
        sa.Column("left_tasks", sa.BigInteger(), nullable=False),
        sa.Column("untold_tiles", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["annotation_imports.id"],
            name=op.f("fk_annotation_import_lines_import_id"),
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_annotation_import_lines")),
    )


def downgrade() -> None:
    op.drop_table("annotation_import_lines")
    op.drop_table("annotation_imports")
