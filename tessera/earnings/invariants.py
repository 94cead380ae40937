"""What must always be true of earnings and the ledger; `ledger.invariants.check` asks it."""

from collections.abc import Mapping
from types import MappingProxyType

# Asked every minute, of every earning there ever was: so both tables are read once, side by side,
# into one row for each transfer, with a checksum of who got what. A million earnings take 0.7 s;
# joined to their lines one by one they take 1.4 s and 100 MB of temporary files.
RULES: Mapping[str, str] = MappingProxyType(
    {
        "earnings_agree_with_the_ledger": """
            SELECT transfer_id AS id
            FROM (
                SELECT transfer_id, sum(uuid_hash_extended(earner_id, amount_micro)) AS earned,
                    sum(fee_micro) AS fees, max(uuid_hash(project_id)) AS payer
                FROM earnings WHERE state = 'available' GROUP BY transfer_id
            ) AS noted
            FULL JOIN (
                SELECT transfer_id,
                    sum(uuid_hash_extended(owner_id, amount_micro))
                        FILTER (WHERE kind = 'earner') AS earned,
                    coalesce(sum(amount_micro) FILTER (WHERE kind = 'fees'), 0) AS fees,
                    max(uuid_hash(owner_id)) FILTER (WHERE kind = 'escrow') AS payer
                FROM ledger_entries AS e
                JOIN ledger_transfers AS t ON t.id = e.transfer_id
                JOIN ledger_accounts AS a ON a.id = e.account_id
                WHERE event = 'earn' GROUP BY transfer_id
            ) AS posted
            USING (transfer_id)
            WHERE (noted.earned, noted.fees, noted.payer)
                IS DISTINCT FROM (posted.earned, posted.fees, posted.payer)
        """,
    }
)
"""By name, a query for the ids of what breaks it."""
