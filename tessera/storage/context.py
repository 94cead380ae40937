"""What every job may use: the database, the store, room on disk, and what was configured."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tessera.kernel import db
from tessera.storage.s3 import Store


@dataclass(frozen=True)
class JobContext:
    sessions: db.Sessions
    store: Store
    bucket: Callable[[str], Store]
    """Another bucket of the same server, by name; for imports."""
    scratch: Path
    """A folder for files that live no longer than one job."""
    decisions_every: timedelta
    """As in the settings."""
