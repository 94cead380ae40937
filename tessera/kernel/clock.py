"""The only place that reads the wall clock of this process.

What decides about leases and money uses the database's clock instead (`now()` in SQL), so that
a machine with a wrong clock changes no outcome.
"""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251
