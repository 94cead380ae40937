"""Rate limits, counted in Redis so that they hold over all processes.

When Redis is down, work goes on without limits, but nobody may try passwords: logging in and
signing up answer 503.
"""

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from fastapi import Request
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

from api.deps import bearer
from tessera.kernel.errors import TooManyRequests, Unavailable

log = structlog.get_logger()


class RateLimited(TooManyRequests):
    code = "rate-limited"


@dataclass(frozen=True)
class Limit:
    item: RateLimitItem
    closed_without_redis: bool = False


LIMITS = {
    "login": Limit(parse("30/minute"), closed_without_redis=True),
    "login-account": Limit(parse("100/hour"), closed_without_redis=True),
    "sign-up": Limit(parse("20/hour"), closed_without_redis=True),
    "lease": Limit(parse("120/minute")),
    "answer": Limit(parse("240/minute")),
}
"""`login` and `sign-up` count by address, whatever else a request says; `login-account` by the
account that is tried, from wherever; `lease` and `answer` by token."""


class Limiter:
    def __init__(self, redis_url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(
            redis_url, max_connections=50, timeout=5, socket_timeout=2
        )
        storage = RedisStorage(
            f"async+{redis_url}",
            implementation="redispy",
            connection_pool=self._pool,  # type: ignore[arg-type]  # its types forget it
        )
        self._strategy = SlidingWindowCounterRateLimiter(storage)

    async def close(self) -> None:
        await self._pool.aclose()

    async def hit(self, name: str, who: str) -> None:
        """Count one call.

        Raises:
            RateLimited: That was one too many.
            Unavailable: Redis is down, and this must not go on uncounted.
        """
        limit = LIMITS[name]
        key = hashlib.sha256(who.encode()).hexdigest()
        try:
            if await self._strategy.hit(limit.item, name, key):
                return
            window = await self._strategy.get_window_stats(limit.item, name, key)
        except (RedisError, OSError) as error:
            log.warning("rate limits unavailable", limit=name, error=str(error))
            if limit.closed_without_redis:
                raise Unavailable("This is not possible right now; try again soon.") from error
            return
        raise RateLimited(
            f"Too many calls: {limit.item} are allowed.",
            retry_after_seconds=max(1, math.ceil(window.reset_time - time.time())),
        )


async def count(request: Request, name: str, who: str) -> None:
    """Count one call of somebody, unless this server has no limits."""
    limiter: Limiter | None = request.app.state.limiter
    if limiter is not None:
        await limiter.hit(name, who)


def limited_by_address(name: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts calls by where they come from."""

    async def dependency(request: Request) -> None:
        await count(request, name, request.client.host if request.client else "")

    return dependency


def limited_by_token(name: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts calls by token; it runs before any transaction is open."""

    async def dependency(request: Request) -> None:
        if (credentials := await bearer(request)) is not None:
            await count(request, name, credentials.credentials)

    return dependency
