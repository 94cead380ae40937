"""What can go wrong, in the domain's own words.

A kind says what a caller can do about it; `api.problems` maps kinds to HTTP statuses and
`workers` maps them to retry or give up. Slices subclass a kind, never DomainError.
"""

from typing import Any, ClassVar


class DomainError(Exception):
    """Base of every expected failure.

    Attributes:
        code: Stable, public identifier; the last path segment of the problem type.
        facts: JSON-safe values shown to the client as problem extension members.
    """

    code: ClassVar[str] = "domain-error"

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class NotFound(DomainError):  # noqa: N818
    code = "not-found"


class Invalid(DomainError):  # noqa: N818
    """The request is well-formed, but its values cannot be accepted."""

    code = "invalid"


class Unauthenticated(DomainError):  # noqa: N818
    code = "unauthenticated"


class Forbidden(DomainError):  # noqa: N818
    code = "forbidden"


class Conflict(DomainError):  # noqa: N818
    code = "conflict"


class TooManyRequests(DomainError):  # noqa: N818
    code = "too-many-requests"


class Unavailable(DomainError):  # noqa: N818
    """A dependency failed; the same call may succeed later."""

    code = "unavailable"
