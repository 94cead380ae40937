"""Client-chosen keys that make a repeated request one request.

The key is claimed in the transaction of the business change, so the two commit together: a
repeat waits for the first to commit and then gets its stored answer, or runs if the first failed.
"""

from datetime import datetime

from sqlalchemy import LargeBinary, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base
from tessera.kernel.errors import Invalid


class KeyReused(Invalid):
    code = "idempotency-key-reused"


class IdempotencyKey(Base):
    __tablename__ = "idempotency_keys"

    scope_sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """Of caller, method, path and key: another caller's key never matches."""
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The very bytes that were sent."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


async def claim(
    session: AsyncSession, *, scope_sha256: bytes, request_sha256: bytes
) -> IdempotencyKey | None:
    """Claim a key for this transaction, or return what its first use answered.

    Raises:
        KeyReused: The key was used before with another request.
    """
    claimed = await session.scalar(
        insert(IdempotencyKey)
        .values(scope_sha256=scope_sha256, request_sha256=request_sha256)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.scope_sha256)
    )
    if claimed is not None:
        return None
    first = (
        await session.scalars(
            select(IdempotencyKey).where(IdempotencyKey.scope_sha256 == scope_sha256)
        )
    ).one()
    if first.request_sha256 != request_sha256:
        raise KeyReused("This idempotency key was used before with another request.")
    return first


async def remember(session: AsyncSession, *, scope_sha256: bytes, status: int, body: bytes) -> None:
    """Keep the answer to the request that claimed a key."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.scope_sha256 == scope_sha256)
        .values(status=status, body=body)
    )


async def forget(session: AsyncSession, *, scope_sha256: bytes) -> None:
    """Give a key back that was claimed for a request that came to nothing."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.scope_sha256 == scope_sha256))
