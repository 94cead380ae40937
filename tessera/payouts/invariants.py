"""What must always be true of payouts; `ledger.invariants.check` asks it."""

from collections.abc import Mapping
from types import MappingProxyType

RULES: Mapping[str, str] = MappingProxyType(
    {
        "in_transit_is_open_payouts": """
            SELECT coalesce(open.earner_id, account.owner_id) AS id
            FROM (
                SELECT earner_id, currency, sum(amount_micro) AS micro FROM payouts
                WHERE state IN ('requested', 'batched', 'sent') GROUP BY earner_id, currency
            ) AS open
            FULL JOIN (
                SELECT owner_id, currency, balance_micro FROM ledger_accounts
                WHERE kind = 'in_transit'
            ) AS account
            ON account.owner_id = open.earner_id AND account.currency = open.currency
            WHERE coalesce(open.micro, 0) <> coalesce(account.balance_micro, 0)
        """,
        "settled_payouts_left_the_ledger": """
            SELECT p.id FROM payouts AS p
            LEFT JOIN ledger_entries AS e ON e.reference = 'payout:' || p.id || ':settled'
            WHERE (p.settled_at IS NULL) <> (e.id IS NULL) OR e.amount_micro <> -p.amount_micro
        """,
        "items_have_the_currency_of_their_batch": """
            SELECT p.id FROM payouts AS p JOIN payout_batches AS b ON b.id = p.batch_id
            WHERE p.currency <> b.currency OR p.rail <> b.rail
        """,
    }
)
"""By name, a query for the ids of what breaks it."""
