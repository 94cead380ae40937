"""Rate limits, counted in Redis so that they hold over all processes.

When Redis is down, work goes on without limits, but nobody may try passwords: logging in and
signing up answer 503.
"""

import hashlib
import ipaddress
import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from fastapi import Request
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from prometheus_client import Counter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problems
from api.deps import bearer
from tessera.accounts import service as accounts
from tessera.kernel import db
from tessera.kernel.errors import TooManyRequests, Unavailable
from tessera.kernel.logs import describe

REFUSED = Counter("tessera_rate_limited_total", "Calls that were too many", ["limit"])

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
account that is tried, from wherever; `lease` and `answer` by person, whatever their token."""

WORK = {
    ("POST", "/v1/work/leases"): "lease",
    ("POST", "/v1/work/training/{project_id}/attempts"): "lease",
    ("POST", "/v1/work/answers"): "answer",
    ("POST", "/v1/work/training/{project_id}/answers"): "answer",
    ("POST", "/v1/work/repairs/{lease_id}"): "answer",
}
"""What `Counted` counts."""
_WORK = {
    (method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path))): name
    for (method, path), name in WORK.items()
}
MOST_REMEMBERED = 10_000
PATIENCE_SECONDS, REST_SECONDS = 2, 5
"""How long a call waits for Redis; and how long others go on uncounted when that was in vain."""


class Limiter:
    def __init__(self, redis_url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=50,
            timeout=PATIENCE_SECONDS,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 1, (Disconnected,)),  # Redis may just have been restarted
        )
        self._rests_until = 0.0
        storage = RedisStorage(
            f"async+{redis_url}",
            implementation="redispy",
            connection_pool=self._pool,  # type: ignore[arg-type]  # its types forget it
        )
        self._strategy = SlidingWindowCounterRateLimiter(storage)
        self.people: dict[bytes, str] = {}
        """By digest of a token. Always right: whatever becomes of a token, it stays theirs."""

    async def close(self) -> None:
        await self._pool.aclose()

    async def hit(self, name: str, who: str) -> None:
        """Count one call.

        Raises:
            RateLimited: That was one too many.
            Unavailable: Redis is down, and this must not go on uncounted.
            NetworkCallInTransaction: Our bug; Redis' slowness would hold our locks.
        """
        db.forbid_in_transaction("Redis")
        limit = LIMITS[name]
        if time.monotonic() < self._rests_until and not limit.closed_without_redis:
            return
        try:
            free_at = await self._count(limit.item, name, hashlib.sha256(who.encode()).hexdigest())
        except Unavailable:
            if limit.closed_without_redis:
                raise
            return
        if free_at is not None:
            REFUSED.labels(name).inc()
            raise RateLimited(
                f"Too many calls: {limit.item} are allowed.",
                retry_after_seconds=max(1, math.ceil(free_at - time.time())),
            )

    async def _count(self, item: RateLimitItem, name: str, key: str) -> float | None:
        """Count one call; if it is one too many, say when there may be another.

        Raises:
            Unavailable: Redis is down.
        """
        try:
            if await self._strategy.hit(item, name, key):
                return None
            window = await self._strategy.get_window_stats(item, name, key)
        except (RedisError, OSError) as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            log.warning("rate limits unavailable", limit=name, error=describe(error))
            raise Unavailable("This is not possible right now; try again soon.") from error
        return window.reset_time


async def count(request: Request, name: str, who: str) -> None:
    """Count one call of somebody, unless this server has no limits."""
    limiter: Limiter | None = request.app.state.limiter
    if limiter is not None:
        await limiter.hit(name, who)


def limited_by_address(name: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts calls by where they come from."""

    async def dependency(request: Request) -> None:
        await count(request, name, network(request.client.host if request.client else ""))

    return dependency


def network(host: str) -> str:
    """Whose an address is: of IPv6, everybody has 2^64 and is given them by the /64."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def counted_as(method: str, path: str) -> str | None:
    """The limit that a call counts towards, by person."""
    fits = (name for (verb, way), name in _WORK.items() if verb == method and way.fullmatch(path))
    return next(fits, None)


class Counted:
    """ASGI middleware that counts calls of `WORK` by person.

    It comes before the routes: there the transaction of a repeatable request is open already.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = counted_as(scope["method"], scope["path"]) if scope["type"] == "http" else None
        answer: ASGIApp = self._app
        if name is not None:
            request = Request(scope)
            try:
                if (person_id := await _person_of(request)) is not None:
                    await count(request, name, person_id)
            except (RateLimited, Unavailable) as error:
                answer = problems.respond(problems.of_error(error), request)
        await answer(scope, receive, send)


async def _person_of(request: Request) -> str | None:
    """Whose token a request has; None if there are no limits, or the endpoint will refuse it."""
    limiter: Limiter | None = request.app.state.limiter
    credentials = await bearer(request)
    if limiter is None or credentials is None:
        return None
    token = credentials.credentials
    digest = hashlib.sha256(token.encode()).digest()
    if digest not in limiter.people:
        try:
            async with db.reading(request.app.state.sessions) as reader:
                caller = await accounts.caller_of(reader, token)
        except Exception:  # noqa: BLE001 - a bad token, no database: endpoints have answers to it
            return None
        if len(limiter.people) >= MOST_REMEMBERED:
            limiter.people.clear()
        limiter.people[digest] = str(caller.person_id)
    return limiter.people[digest]
