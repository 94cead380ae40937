"""Tasks about existing annotations, and chains of projects.

Locks: ACCESS EXCLUSIVE on projects and tasks, milliseconds, and for as long as it takes to index all
tasks (there is no release yet, and nowhere are they many).
Deploy order: before the code.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "stages"
down_revision = "kinds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "makers",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "task_id", "earner_id", name=op.f("pk_makers")),
    )
    op.execute("ALTER TABLE makers ALTER COLUMN project_id SET STATISTICS 0")
    op.add_column("tasks", sa.Column("pair", sa.Integer(), server_default="0", nullable=False))
    op.drop_constraint(op.f("uq_tasks_project_id_tile_id"), "tasks")
    op.create_unique_constraint(
        op.f("uq_tasks_project_id_tile_id_pair"), "tasks", ["project_id", "tile_id", "pair"]
    )
    op.add_column("tasks", sa.Column("subject", postgresql.JSONB(), nullable=True))
    op.add_column("tasks", sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("projects", sa.Column("follows_id", sa.Uuid(), nullable=True))
    op.add_column("projects", sa.Column("follows_classes", postgresql.JSONB(), nullable=True))
    op.add_column("projects", sa.Column("first_stage_id", sa.Uuid(), nullable=True))
    for column in ("follows_id", "first_stage_id"):
        op.create_foreign_key(
            op.f(f"fk_projects_{column}"), "projects", "projects", [column], ["id"]
        )
    op.create_index(op.f("ix_projects_follows_id"), "projects", ["follows_id"])
    op.create_index(
        "uq_projects_verified",
        "projects",
        ["follows_id"],
        unique=True,
        postgresql_where=sa.text("kind IN ('verify', 'join')"),
    )


def downgrade() -> None:
    op.drop_index("uq_projects_verified", "projects")
    op.drop_index(op.f("ix_projects_follows_id"), "projects")
    for column in ("first_stage_id", "follows_id"):
        op.drop_constraint(op.f(f"fk_projects_{column}"), "projects", type_="foreignkey")
        op.drop_column("projects", column)
    op.drop_column("projects", "follows_classes")
    op.drop_column("tasks", "reopened_at")
    op.drop_column("tasks", "subject")
    op.drop_constraint(op.f("uq_tasks_project_id_tile_id_pair"), "tasks")
    op.create_unique_constraint(
        op.f("uq_tasks_project_id_tile_id"), "tasks", ["project_id", "tile_id"]
    )
    op.drop_column("tasks", "pair")
    op.drop_table("makers")
