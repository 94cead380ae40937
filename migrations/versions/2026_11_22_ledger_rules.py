"""What the database itself refuses about money, whatever code or hand is at it.

A transfer is written by one INSERT of its entries and balances at commit; entries bring the
cached balances along, and nothing else does; what is written stays as it was written.

Locks: SHARE ROW EXCLUSIVE on the ledger's three tables, milliseconds (no rewrite).
Deploy order: with the code that leaves balances to the database; code that updates them itself
is refused.
"""

from alembic import op

revision = "ledger_rules"
down_revision = "job_engine"
branch_labels = None
depends_on = None


UP = (
    # Entries refuse to be added to a transfer that has some, and bring the cached balances along.
    """
    CREATE FUNCTION ledger_entries_written() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT FROM (
                SELECT transfer_id, count(*) AS lines FROM written GROUP BY transfer_id
            ) AS w
            WHERE w.lines <> (
                SELECT count(*) FROM ledger_entries AS e WHERE e.transfer_id = w.transfer_id
            )
        ) THEN
            RAISE EXCEPTION 'a transfer is written by one INSERT and never added to'
                USING ERRCODE = 'restrict_violation';
        END IF;
        UPDATE ledger_accounts AS a
        SET balance_micro = a.balance_micro + w.change_micro
        FROM (
            SELECT account_id, sum(amount_micro) AS change_micro FROM written GROUP BY account_id
        ) AS w
        WHERE a.id = w.account_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER ledger_entries_written AFTER INSERT ON ledger_entries
        REFERENCING NEW TABLE AS written
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_written()
    """,
    # At commit a transfer has at least two entries, and they sum to zero in each currency.
    """
    CREATE FUNCTION ledger_transfer_balances() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT count(*) FROM ledger_entries WHERE transfer_id = NEW.id) < 2 OR EXISTS (
            SELECT FROM ledger_entries AS e JOIN ledger_accounts AS a ON a.id = e.account_id
            WHERE e.transfer_id = NEW.id
            GROUP BY a.currency HAVING sum(e.amount_micro) <> 0
        ) THEN
            RAISE EXCEPTION 'transfer % does not balance', NEW.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER ledger_transfers_balance AFTER INSERT ON ledger_transfers
        DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION ledger_transfer_balances()
    """,
    # What is written stays as it was written.
    """
    CREATE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% on % is refused: the ledger is append-only', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER ledger_transfers_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfers
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()
    """,
    """
    CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()
    """,
    """
    CREATE TRIGGER ledger_accounts_stay BEFORE DELETE OR TRUNCATE ON ledger_accounts
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()
    """,
    # An account opens empty, and nothing changes it but the trigger that writes entries.
    """
    CREATE TRIGGER ledger_accounts_open_empty BEFORE INSERT ON ledger_accounts
        FOR EACH ROW WHEN (NEW.balance_micro <> 0) EXECUTE FUNCTION ledger_refuses()
    """,
    """
    CREATE TRIGGER ledger_accounts_follow_entries BEFORE UPDATE ON ledger_accounts
        FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger_refuses()
    """,
)

DOWN = (
    "DROP TRIGGER ledger_accounts_follow_entries ON ledger_accounts",
    "DROP TRIGGER ledger_accounts_open_empty ON ledger_accounts",
    "DROP TRIGGER ledger_accounts_stay ON ledger_accounts",
    "DROP TRIGGER ledger_entries_append_only ON ledger_entries",
    "DROP TRIGGER ledger_transfers_append_only ON ledger_transfers",
    "DROP FUNCTION ledger_refuses()",
    "DROP TRIGGER ledger_transfers_balance ON ledger_transfers",
    "DROP FUNCTION ledger_transfer_balances()",
    "DROP TRIGGER ledger_entries_written ON ledger_entries",
    "DROP FUNCTION ledger_entries_written()",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
