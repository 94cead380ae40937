"""Engine, declarative base, the two kinds of session, and the only commit there is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NewType, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Enum, MetaData, Select, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""From where intervals of time are counted."""

S = TypeVar("S", bound=Select[Any])
Sessions = async_sessionmaker[AsyncSession]
Reader = NewType("Reader", AsyncSession)
"""A session inside a READ ONLY transaction: Postgres refuses writes, not just mypy."""

_transactions: ContextVar[int] = ContextVar("transactions", default=0)
"""How many this task has open."""


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it by this name
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        int: BigInteger,
        StrEnum: Enum(
            StrEnum, native_enum=False, length=32, values_callable=lambda e: [m.value for m in e]
        ),
    }


class Entity(Base):
    """A row with an id of its own.

    The id is random (version 4): it tells nobody when the row was made, so the gold among the
    tasks of an earner cannot be guessed from ids.
    """

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def create_engine(
    url: str,
    *,
    application_name: str,
    pool_size: int = 5,
    statement_timeout: timedelta = timedelta(seconds=15),
) -> AsyncEngine:
    """An engine whose every connection gives up instead of hanging.

    Its errors do not quote the values of statements: they end up in logs.

    Args:
        url: `postgresql://user:password@host:port/name`; the asyncpg driver is ours to add.
    """
    said = server_settings(application_name, statement_timeout=statement_timeout)
    return create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"server_settings": said},
    )


def server_settings(
    application_name: str, *, statement_timeout: timedelta = timedelta(seconds=15)
) -> dict[str, str]:
    """What every connection of ours asks of Postgres as it is opened, however it is opened."""
    return {
        "application_name": application_name,
        "statement_timeout": str(statement_timeout // timedelta(milliseconds=1)),
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "timezone": "UTC",
    }


def create_sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


def locking(select: S, *, of: type[Base] | None = None, skip_locked: bool = False) -> S:
    """FOR NO KEY UPDATE, and refresh rows this session has already loaded.

    Without the refresh SQLAlchemy locks the row and then hands back the values it read before.

    Args:
        of: The only table of a join whose rows are locked.
    """
    return select.with_for_update(key_share=True, of=of, skip_locked=skip_locked).execution_options(
        populate_existing=True
    )


@asynccontextmanager
async def transaction(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """Commit on success, roll back on any exception. Nothing else ever commits."""
    with _marked():
        async with sessions.begin() as session:
            yield session


@asynccontextmanager
async def reading(sessions: Sessions) -> AsyncIterator[Reader]:
    """A READ ONLY transaction that sees one snapshot for as long as it lasts."""
    with _marked():
        async with sessions() as session, session.begin():
            await session.connection(
                execution_options={
                    "postgresql_readonly": True,
                    "isolation_level": "REPEATABLE READ",
                }
            )
            yield Reader(session)


class NetworkCallInTransaction(Exception):  # noqa: N818
    """Our bug: somebody else's slowness would hold our locks."""


def forbid_in_transaction(what: str) -> None:
    """Called by everything that talks to the network.

    Raises:
        NetworkCallInTransaction: A transaction of this task is open.
    """
    if _transactions.get():
        raise NetworkCallInTransaction(what)


@contextmanager
def _marked() -> Iterator[None]:
    # not reset(token): a FastAPI dependency may leave in another context than it entered
    _transactions.set(_transactions.get() + 1)
    try:
        yield
    finally:
        _transactions.set(max(0, _transactions.get() - 1))
