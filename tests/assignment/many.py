"""Hundreds of earners at once; hashing a password for each would take longer than the tests."""

from httpx2 import AsyncClient
from sqlalchemy import func, text

from tessera.accounts import service, tokens
from tessera.accounts.models import PersonKind, Session
from tessera.kernel import db
from tests.client import As

_people = iter(range(10**9))


async def many_earners(sessions: db.Sessions, http: AsyncClient, count: int) -> list[As]:
    """People who are logged in, and who cannot log in again."""
    made = [tokens.new(tokens.SESSION) for _ in range(count)]
    async with db.transaction(sessions) as session:
        for token in made:
            person = await service.register(
                session,
                email=f"one-of-many-{next(_people)}@example.org",
                password_hash="none",
                name="One of many",
                kind=PersonKind.EARNER,
            )
            session.add(
                Session(
                    token_sha256=tokens.digest(token),
                    person_id=person.id,
                    expires_at=func.now() + text("interval '1 hour'"),
                    revoked_at=None,
                )
            )
    return [As(http, token) for token in made]
