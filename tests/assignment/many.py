"""Hundreds of earners at once; hashing a password for each would take longer than the tests."""

from httpx2 import AsyncClient

from tessera.accounts import service
from tessera.accounts.models import PersonKind
from tessera.kernel import db
from tests.client import As
from tests.world import log_in

_people = iter(range(10**9))


async def many_earners(sessions: db.Sessions, http: AsyncClient, count: int) -> list[As]:
    """People who are logged in, and who cannot log in again."""
    made = []
    async with db.transaction(sessions) as session:
        for _ in range(count):
            person = await service.register(
                session,
                email=f"one-of-many-{next(_people)}@example.org",
                password_hash="none",
                name="One of many",
                kind=PersonKind.EARNER,
            )
            made.append(log_in(session, person.id))
    return [As(http, token) for token in made]
