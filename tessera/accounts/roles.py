"""Who may do what, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from tessera.accounts.models import PersonKind, Role
from tessera.kernel.errors import Forbidden, NotFound


class Right(StrEnum):
    """Something a member of an organisation may be allowed; also the scopes of API keys."""

    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    REVIEW = "review"
    DATASETS = "datasets"
    SPEND = "spend"
    MONEY_READ = "money:read"
    MEMBERS = "members"
    DEPOSITS = "deposits"
    """Only in the platform organisation: record money that arrived."""
    PAYOUTS = "payouts"
    """Only in the platform organisation: send earners their money."""


_WORK = frozenset({Right.PROJECTS_READ, Right.PROJECTS_WRITE, Right.REVIEW, Right.DATASETS})
_FINANCE = frozenset({Right.MONEY_READ, Right.DEPOSITS, Right.PAYOUTS})
PLATFORM_ONLY = frozenset({Right.DEPOSITS, Right.PAYOUTS})
KEY_SCOPES = frozenset({*_WORK, Right.SPEND, Right.MONEY_READ})

RIGHTS: Mapping[Role, frozenset[Right]] = MappingProxyType(
    {
        Role.OWNER: frozenset(Right),
        Role.MANAGER: _WORK | {Right.SPEND, Right.MONEY_READ},
        Role.REVIEWER: frozenset({Right.PROJECTS_READ, Right.REVIEW}),
        Role.FINANCE: _FINANCE,
    }
)


@dataclass(frozen=True)
class Caller:
    """Whoever is behind a request, and what they may do where."""

    person_id: UUID
    kind: PersonKind
    rights: Mapping[UUID, frozenset[Right]] = field(default_factory=dict)
    """By organisation; empty for earners."""
    platform_rights: frozenset[Right] = frozenset()
    key_id: UUID | None = None
    """The API key that speaks for the person, if it is not they themselves."""

    def may(self, organisation_id: UUID, right: Right) -> None:
        """Refuse what the caller may not do in an organisation.

        Raises:
            NotFound: The organisation is not the caller's; it might as well not exist.
            Forbidden: It is, but their role does not include this.
        """
        rights = self.rights.get(organisation_id)
        if rights is None:
            raise NotFound("There is no such thing here.")
        if right not in rights:
            raise Forbidden("Your role does not include this.", needs=right)
