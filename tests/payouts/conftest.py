from collections.abc import AsyncIterator

import pytest

from tessera.kernel import db
from tests.payouts.world import Finance, a_person, broken


@pytest.fixture
async def finance(sessions: db.Sessions) -> AsyncIterator[Finance]:
    """Finance people; whatever a test has done, the books must be right after it."""
    yield Finance(sessions, maker=await a_person(sessions), checker=await a_person(sessions))
    assert await broken(sessions) == []
