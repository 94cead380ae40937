"""Money that arrived from outside."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Organisation
from tessera.kernel.errors import NotFound
from tessera.ledger import service
from tessera.ledger.currencies import MINOR_DIGITS
from tessera.ledger.errors import UnknownCurrency
from tessera.ledger.models import Event
from tessera.ledger.service import Reason


async def deposit(
    session: AsyncSession,
    *,
    organisation_id: UUID,
    amount_micro: int,
    currency: str,
    reference: str,
    actor_id: UUID,
) -> int:
    """Credit an organisation with a bank transfer; the same reference counts once.

    Returns:
        The ledger transfer's id.

    Raises:
        NotFound: There is no such organisation.
        UnknownCurrency: This Tessera keeps no such money.
        ReferenceReused: The reference was recorded before with another amount.
    """
    if currency not in MINOR_DIGITS:
        raise UnknownCurrency(f"{currency} is not a currency of this Tessera.")
    if await session.get(Organisation, organisation_id) is None:
        raise NotFound("There is no such organisation.")
    return await service.move(
        session,
        service.OUTSIDE,
        service.organisation(organisation_id),
        amount_micro=amount_micro,
        currency=currency,
        reason=Reason(Event.DEPOSIT, f"deposit:{organisation_id}:{reference}", actor_id),
    )
