"""All tables of the main job.

Locks: none that matter; everything is new.
Deploy order: first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "first_tables"
down_revision = None
branch_labels = None
depends_on = None

SEQUENCES = (sa.Sequence("queue_positions"),)
OF_PROJECTS = (
    "answers", "dataset_runs", "datasets", "earnings", "gold", "images", "imports", "leases",
    "queue_entries", "standings", "tasks", "tiles", "trust",
)  # fmt: skip
"""Of their `project_id` no statistics are kept. With them the planner expects one row of a project
that was made since, and compares all its rows with each other; without, it expects many of any."""


def upgrade() -> None:
    for sequence in SEQUENCES:
        op.execute(sa.schema.CreateSequence(sequence))
    op.create_table(
        "gold",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("expected", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "source",
            sa.Enum("import", "settled", name="goldsource", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "task_id", name=op.f("pk_gold")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("scope_sha256", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False
    )
    op.create_table(
        "leases",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column(
            "fence",
            sa.BigInteger(),
            server_default=sa.text("(extract(epoch FROM now()) * 1000000)::bigint"),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "answered",
                "returned",
                "expired",
                name="leasestate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "leased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_leases")),
        sa.UniqueConstraint(
            "project_id",
            "task_id",
            "earner_id",
            name=op.f("uq_leases_project_id_task_id_earner_id"),
        ),
    )
    op.create_index(
        "ix_leases_due", "leases", ["expires_at"], unique=False, postgresql_where="state = 'open'"
    )
    op.create_index(
        "ix_leases_held", "leases", ["earner_id"], unique=False, postgresql_where="state = 'open'"
    )
    op.create_index("ix_leases_id", "leases", ["id"], unique=False)
    op.create_index(
        "uq_leases_place",
        "leases",
        ["project_id", "task_id", "place"],
        unique=True,
        postgresql_where="state IN ('open', 'answered')",
    )
    op.create_table(
        "ledger_accounts",
        sa.Column(
            "kind",
            sa.Enum(
                "outside",
                "organisation",
                "escrow",
                "earner",
                "in_transit",
                "fees",
                name="accountkind",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("balance_micro", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(owner_id IS NULL) = (kind IN ('outside', 'fees'))",
            name=op.f("ck_ledger_accounts_owned"),
        ),
        sa.CheckConstraint(
            "currency ~ '^[A-Z]{3}$'", name=op.f("ck_ledger_accounts_currency_is_a_code")
        ),
        sa.CheckConstraint(
            "kind = 'outside' OR balance_micro >= 0", name=op.f("ck_ledger_accounts_floor")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_accounts")),
        sa.UniqueConstraint(
            "kind",
            "owner_id",
            "currency",
            name=op.f("uq_ledger_accounts_kind_owner_id_currency"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "ledger_transfers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column(
            "event",
            sa.Enum(
                "deposit",
                "reserve",
                "release",
                "earn",
                "payout_requested",
                "payout_cancelled",
                "payout_settled",
                "payout_returned",
                name="event",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transfers")),
        sa.UniqueConstraint("reference", name=op.f("uq_ledger_transfers_reference")),
    )
    op.create_table(
        "organisations",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_platform", sa.Boolean(), nullable=False),
        sa.Column("import_bucket", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
    )
    op.create_index(
        "uq_organisations_platform",
        "organisations",
        ["is_platform"],
        unique=True,
        postgresql_where="is_platform",
    )
    op.create_table(
        "people",
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("earner", "operator", name="personkind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_people_email_is_lower_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email", name=op.f("uq_people_email")),
    )
    op.create_table(
        "queue_entries",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger(),
            server_default=sa.text("nextval('queue_positions')"),
            nullable=False,
        ),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "lane", "position", name=op.f("pk_queue_entries")),
        sa.UniqueConstraint(
            "project_id", "task_id", "place", name=op.f("uq_queue_entries_project_id_task_id_place")
        ),
    )
    op.create_table(
        "standings",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("gold_chance", sa.Double(), nullable=False),
        sa.Column("soon_position", sa.BigInteger(), nullable=False),
        sa.Column("normal_position", sa.BigInteger(), nullable=False),
        sa.Column("gold_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "earner_id", name=op.f("pk_standings")),
    )
    op.create_index("ix_standings_earner_id", "standings", ["earner_id"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "open",
                "review",
                "settled",
                name="taskstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("is_gold", sa.Boolean(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("places_used", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("label", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.Column("review_reason", sa.String(), nullable=True),
        sa.CheckConstraint("places_used <= places", name=op.f("ck_tasks_places")),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("project_id", "tile_id", name=op.f("uq_tasks_project_id_tile_id")),
    )
    op.create_index(
        "ix_tasks_gold", "tasks", ["project_id"], unique=False, postgresql_where="is_gold"
    )
    op.create_index("ix_tasks_id", "tasks", ["id"], unique=False)
    op.create_index(
        "ix_tasks_review",
        "tasks",
        ["project_id", "opened_at"],
        unique=False,
        postgresql_where="state = 'review'",
    )
    op.create_index(
        "ix_tasks_waiting",
        "tasks",
        ["project_id"],
        unique=False,
        postgresql_where="state = 'waiting'",
    )
    op.create_table(
        "trust",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("alpha", sa.Double(), nullable=False),
        sa.Column("beta", sa.Double(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("missed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "earner_id", name=op.f("pk_trust")),
    )
    op.create_table(
        "answers",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum("answered", "not_sure", "broken", name="outcome", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "answered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("agreement", sa.Double(), nullable=True),
        sa.Column(
            "verdict",
            sa.Enum(
                "pending", "accepted", "rejected", name="verdict", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "lease_id"], ["leases.project_id", "leases.id"], name="fk_answers_lease"
        ),
        sa.PrimaryKeyConstraint("project_id", "lease_id", name=op.f("pk_answers")),
    )
    op.create_index(
        "ix_answers_pending",
        "answers",
        ["project_id", "earner_id"],
        unique=False,
        postgresql_where="verdict = 'pending'",
    )
    op.create_index("ix_answers_task_id", "answers", ["project_id", "task_id"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["created_by"], ["people.id"], name=op.f("fk_api_keys_created_by")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_api_keys_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_api_keys_key_sha256")),
    )
    op.create_index(
        op.f("ix_api_keys_organisation_id"), "api_keys", ["organisation_id"], unique=False
    )
    op.create_table(
        "earnings",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column("fee_micro", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "approved",
                "available",
                "rejected",
                name="earningstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("transfer_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'available') = (transfer_id IS NOT NULL)", name=op.f("ck_earnings_posted")
        ),
        sa.CheckConstraint(
            "state <> 'rejected' OR reason IS NOT NULL",
            name=op.f("ck_earnings_rejection_has_reason"),
        ),
        sa.CheckConstraint("amount_micro > 0", name=op.f("ck_earnings_amount_positive")),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["ledger_transfers.id"], name=op.f("fk_earnings_transfer_id")
        ),
        sa.PrimaryKeyConstraint("project_id", "lease_id", name=op.f("pk_earnings")),
    )
    op.create_index(
        "ix_earnings_due",
        "earnings",
        ["project_id", "decided_at"],
        unique=False,
        postgresql_where="state = 'approved'",
    )
    op.create_index(
        "ix_earnings_page", "earnings", ["earner_id", "created_at", "lease_id"], unique=False
    )
    op.create_index(
        "ix_earnings_pending",
        "earnings",
        ["project_id", "created_at"],
        unique=False,
        postgresql_where="state = 'pending'",
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.CheckConstraint("amount_micro <> 0", name=op.f("ck_ledger_entries_amount_not_zero")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_accounts.id"], name=op.f("fk_ledger_entries_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["ledger_transfers.id"], name=op.f("fk_ledger_entries_transfer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("reference", name=op.f("uq_ledger_entries_reference")),
    )
    op.create_index(
        "ix_ledger_entries_statement", "ledger_entries", ["account_id", "id"], unique=False
    )
    op.create_index(
        op.f("ix_ledger_entries_transfer_id"), "ledger_entries", ["transfer_id"], unique=False
    )
    op.create_table(
        "memberships",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "owner", "manager", "reviewer", "finance", name="role", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_memberships_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_memberships_person_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "person_id", name=op.f("pk_memberships")),
    )
    op.create_index(op.f("ix_memberships_person_id"), "memberships", ["person_id"], unique=False)
    op.create_table(
        "payout_batches",
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column(
            "rail", sa.Enum("manual", name="rail", native_enum=False, length=32), nullable=False
        ),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "approved",
                "submitted",
                "closed",
                "cancelled",
                name="batchstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("items_sha256", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("edited_by", sa.Uuid(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'cancelled') OR approved_by IS NOT NULL",
            name=op.f("ck_payout_batches_approved"),
        ),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approved_at IS NULL)",
            name=op.f("ck_payout_batches_approved_at"),
        ),
        sa.CheckConstraint(
            "approved_by NOT IN (created_by, edited_by)", name=op.f("ck_payout_batches_four_eyes")
        ),
        sa.ForeignKeyConstraint(
            ["approved_by"], ["people.id"], name=op.f("fk_payout_batches_approved_by")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["people.id"], name=op.f("fk_payout_batches_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["edited_by"], ["people.id"], name=op.f("fk_payout_batches_edited_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_batches")),
    )
    op.create_index("ix_payout_batches_page", "payout_batches", ["created_at", "id"], unique=False)
    op.create_table(
        "payout_destinations",
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column(
            "rail", sa.Enum("manual", name="rail", native_enum=False, length=32), nullable=False
        ),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["earner_id"], ["people.id"], name=op.f("fk_payout_destinations_earner_id")
        ),
        sa.PrimaryKeyConstraint("earner_id", name=op.f("pk_payout_destinations")),
    )
    op.create_table(
        "projects",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("instructions", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label_schema", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("slicing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("quality", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("price_micro", sa.BigInteger(), nullable=False),
        sa.Column("fee_micro", sa.BigInteger(), nullable=False),
        sa.Column("lease_seconds", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "open",
                "paused",
                "completed",
                name="projectstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reserved_micro", sa.BigInteger(), nullable=False),
        sa.Column("committed_micro", sa.BigInteger(), nullable=False),
        sa.Column("gold_places", sa.BigInteger(), nullable=False),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "committed_micro <= reserved_micro", name=op.f("ck_projects_within_budget")
        ),
        sa.CheckConstraint("fee_micro >= 0", name=op.f("ck_projects_fee_not_negative")),
        sa.CheckConstraint("price_micro > 0", name=op.f("ck_projects_price_positive")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_projects_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_index(
        op.f("ix_projects_organisation_id"), "projects", ["organisation_id"], unique=False
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_sessions_person_id")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_person_id"), "sessions", ["person_id"], unique=False)
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("manifest_key", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("id ~ '^[0-9a-f]{64}$'", name=op.f("ck_datasets_id_is_sha256")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_datasets_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
    )
    op.create_index(
        "ix_datasets_page", "datasets", ["project_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "imports",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column(
            "source",
            sa.Enum("zip", "prefix", name="importsource", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "registered",
                "running",
                "done",
                "refused",
                name="importstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_imports_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    op.create_index(op.f("ix_imports_project_id"), "imports", ["project_id"], unique=False)
    op.create_table(
        "payouts",
        sa.Column("earner_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column(
            "rail", sa.Enum("manual", name="rail", native_enum=False, length=32), nullable=False
        ),
        sa.Column("destination", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "batched",
                "sent",
                "settled",
                "returned",
                "cancelled",
                name="payoutstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("rail_reference", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(state = 'returned') = (reason IS NOT NULL)", name=op.f("ck_payouts_return_has_reason")
        ),
        sa.CheckConstraint(
            "(state = 'returned') = (returned_at IS NOT NULL)", name=op.f("ck_payouts_returned_at")
        ),
        sa.CheckConstraint(
            "(state IN ('requested', 'cancelled')) = (batch_id IS NULL)",
            name=op.f("ck_payouts_item_of_a_batch"),
        ),
        sa.CheckConstraint(
            "state <> 'settled' OR settled_at IS NOT NULL", name=op.f("ck_payouts_settled_at")
        ),
        sa.CheckConstraint("amount_micro > 0", name=op.f("ck_payouts_amount_positive")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["payout_batches.id"], name=op.f("fk_payouts_batch_id")
        ),
        sa.ForeignKeyConstraint(["earner_id"], ["people.id"], name=op.f("fk_payouts_earner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payouts")),
    )
    op.create_index("ix_payouts_items", "payouts", ["batch_id", "id"], unique=False)
    op.create_index("ix_payouts_page", "payouts", ["earner_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_payouts_waiting",
        "payouts",
        ["currency", "created_at"],
        unique=False,
        postgresql_where="state = 'requested'",
    )
    op.create_table(
        "dataset_runs",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("build", "verify", name="runkind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum("running", "done", "failed", name="runstate", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "as_of", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("dataset_id", sa.String(), nullable=True),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_runs_dataset_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_dataset_runs_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_runs")),
    )
    op.create_index(
        op.f("ix_dataset_runs_project_id"), "dataset_runs", ["project_id"], unique=False
    )
    op.create_table(
        "images",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "registered",
                "checking",
                "slicing",
                "ready",
                "refused",
                name="imagestate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("source_key", sa.String(), nullable=True),
        sa.Column("content_type", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("width", sa.BigInteger(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("orientation", sa.SmallInteger(), nullable=True),
        sa.Column("duplicate_of", sa.Uuid(), nullable=True),
        sa.Column("thumbnail_key", sa.String(), nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["duplicate_of"], ["images.id"], name=op.f("fk_images_duplicate_of")
        ),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name=op.f("fk_images_import_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_images_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_images_project_id_name")),
    )
    op.create_index(op.f("ix_images_import_id"), "images", ["import_id"], unique=False)
    op.create_index("ix_images_page", "images", ["project_id", "created_at", "id"], unique=False)
    op.create_index(
        "uq_images_content",
        "images",
        ["project_id", "sha256"],
        unique=True,
        postgresql_where="state IN ('slicing', 'ready')",
    )
    op.create_table(
        "tiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("core_left", sa.BigInteger(), nullable=False),
        sa.Column("core_top", sa.BigInteger(), nullable=False),
        sa.Column("core_right", sa.BigInteger(), nullable=False),
        sa.Column("core_bottom", sa.BigInteger(), nullable=False),
        sa.Column("window_left", sa.BigInteger(), nullable=False),
        sa.Column("window_top", sa.BigInteger(), nullable=False),
        sa.Column("window_right", sa.BigInteger(), nullable=False),
        sa.Column("window_bottom", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_tiles_image_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_tiles_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tiles")),
        sa.UniqueConstraint("image_id", "number", name=op.f("uq_tiles_image_id_number")),
    )

    # a queue is mostly dead rows; without this, scans of its head would wade through them
    for table in ("queue_entries", "leases"):
        op.execute(
            f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)"
        )
    for table in OF_PROJECTS:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN project_id SET STATISTICS 0")


def downgrade() -> None:
    op.drop_table("tiles")
    op.drop_index(
        "uq_images_content", table_name="images", postgresql_where="state IN ('slicing', 'ready')"
    )
    op.drop_index("ix_images_page", table_name="images")
    op.drop_index(op.f("ix_images_import_id"), table_name="images")
    op.drop_table("images")
    op.drop_index(op.f("ix_dataset_runs_project_id"), table_name="dataset_runs")
    op.drop_table("dataset_runs")
    op.drop_index(
        "ix_payouts_waiting", table_name="payouts", postgresql_where="state = 'requested'"
    )
    op.drop_index("ix_payouts_page", table_name="payouts")
    op.drop_index("ix_payouts_items", table_name="payouts")
    op.drop_table("payouts")
    op.drop_index(op.f("ix_imports_project_id"), table_name="imports")
    op.drop_table("imports")
    op.drop_index("ix_datasets_page", table_name="datasets")
    op.drop_table("datasets")
    op.drop_index(op.f("ix_sessions_person_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_projects_organisation_id"), table_name="projects")
    op.drop_table("projects")
    op.drop_table("payout_destinations")
    op.drop_index("ix_payout_batches_page", table_name="payout_batches")
    op.drop_table("payout_batches")
    op.drop_index(op.f("ix_memberships_person_id"), table_name="memberships")
    op.drop_table("memberships")
    op.drop_index(op.f("ix_ledger_entries_transfer_id"), table_name="ledger_entries")
    op.drop_index("ix_ledger_entries_statement", table_name="ledger_entries")
    op.drop_table("ledger_entries")
    op.drop_index(
        "ix_earnings_pending", table_name="earnings", postgresql_where="state = 'pending'"
    )
    op.drop_index("ix_earnings_page", table_name="earnings")
    op.drop_index("ix_earnings_due", table_name="earnings", postgresql_where="state = 'approved'")
    op.drop_table("earnings")
    op.drop_index(op.f("ix_api_keys_organisation_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index("ix_answers_task_id", table_name="answers")
    op.drop_index(
        "ix_answers_pending", table_name="answers", postgresql_where="verdict = 'pending'"
    )
    op.drop_table("answers")
    op.drop_table("trust")
    op.drop_index("ix_tasks_waiting", table_name="tasks", postgresql_where="state = 'waiting'")
    op.drop_index("ix_tasks_review", table_name="tasks", postgresql_where="state = 'review'")
    op.drop_index("ix_tasks_id", table_name="tasks")
    op.drop_index("ix_tasks_gold", table_name="tasks", postgresql_where="is_gold")
    op.drop_table("tasks")
    op.drop_index("ix_standings_earner_id", table_name="standings")
    op.drop_table("standings")
    op.drop_table("queue_entries")
    op.drop_table("people")
    op.drop_index(
        "uq_organisations_platform", table_name="organisations", postgresql_where="is_platform"
    )
    op.drop_table("organisations")
    op.drop_table("ledger_transfers")
    op.drop_table("ledger_accounts")
    op.drop_index(
        "uq_leases_place", table_name="leases", postgresql_where="state IN ('open', 'answered')"
    )
    op.drop_index("ix_leases_id", table_name="leases")
    op.drop_index("ix_leases_held", table_name="leases", postgresql_where="state = 'open'")
    op.drop_index("ix_leases_due", table_name="leases", postgresql_where="state = 'open'")
    op.drop_table("leases")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("gold")
    for sequence in SEQUENCES:
        op.execute(sa.schema.DropSequence(sequence))
