"""A lease as its earner gets it. Nothing here tells gold from other tasks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Leased:
    id: UUID
    fence: int
    project_id: UUID
    kind: str
    price_micro: int
    currency: str
    expires_at: datetime
    key: str
    """Of the tile's picture, in the store."""
    content_type: str
    width: int
    height: int
    subject: dict[str, Any] | None
