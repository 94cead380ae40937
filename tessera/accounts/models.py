"""Who there is: people, the organisations they belong to, and what they prove themselves with."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base, Entity


class PersonKind(StrEnum):
    EARNER = "earner"
    OPERATOR = "operator"


class Role(StrEnum):
    """What an operator may do in an organisation; `accounts.roles` says what each includes."""

    OWNER = "owner"
    MANAGER = "manager"
    REVIEWER = "reviewer"
    FINANCE = "finance"


class Person(Entity):
    __tablename__ = "people"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_is_lower_case"),)

    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    name: Mapped[str]
    kind: Mapped[PersonKind]
    disabled_at: Mapped[datetime | None]


class Organisation(Entity):
    __tablename__ = "organisations"
    __table_args__ = (
        Index(
            "uq_organisations_platform", "is_platform", unique=True, postgresql_where="is_platform"
        ),
        Index("uq_organisations_import_bucket", "import_bucket", unique=True),
    )

    name: Mapped[str]
    is_platform: Mapped[bool] = mapped_column(default=False)
    """The one organisation that runs this Tessera; its finance records deposits and pays out."""
    import_bucket: Mapped[str | None]
    """A bucket of the store that this organisation alone may import from; set on the server."""


class Membership(Base):
    __tablename__ = "memberships"

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), primary_key=True, index=True)
    role: Mapped[Role]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Invitation(Entity):
    """A role that whoever brings the token gets; gone as soon as it is accepted or withdrawn."""

    __tablename__ = "invitations"

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    role: Mapped[Role]
    note: Mapped[str | None]
    """For whom it is, in the owner's words. It proves nothing."""
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_by: Mapped[UUID] = mapped_column(ForeignKey("people.id"), index=True)
    expires_at: Mapped[datetime]


class Session(Base):
    """One login. The token itself is nowhere: only its SHA-256 is stored."""

    __tablename__ = "sessions"

    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    device_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of what the client calls the device it runs on, if it does."""


class ApiKey(Entity):
    """A program's way in, for one organisation, with some of a manager's rights."""

    __tablename__ = "api_keys"

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str]
    hint: Mapped[str]
    """The first characters of the key, so that a person can tell keys apart."""
    key_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[Any]]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    revoked_at: Mapped[datetime | None]
