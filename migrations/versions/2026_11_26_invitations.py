"""Invitations to organisations; and no two organisations import from one bucket.

Locks: SHARE ROW EXCLUSIVE on organisations and people, milliseconds (organisations are few). Where
two of them share an import bucket it changes nothing and fails: first take it from one.
Deploy order: before the code that invites.
"""

import sqlalchemy as sa
from alembic import op

revision = "invitations"
down_revision = "ledger_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "owner", "manager", "reviewer", "finance", name="role", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["people.id"], name=op.f("fk_invitations_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_invitations_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_invitations_token_sha256")),
    )
    op.create_index(op.f("ix_invitations_created_by"), "invitations", ["created_by"])
    op.create_index(op.f("ix_invitations_organisation_id"), "invitations", ["organisation_id"])
    op.create_index(
        "uq_organisations_import_bucket", "organisations", ["import_bucket"], unique=True
    )


def downgrade() -> None:
    op.drop_index("uq_organisations_import_bucket", "organisations")
    op.drop_table("invitations")
