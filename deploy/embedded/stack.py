"""The three servers as one: started side by side, or taken from the environment."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.places import Places, Say
from deploy.embedded.postgres import Postgres
from deploy.embedded.s3 import S3
from deploy.embedded.server import Server
from deploy.embedded.valkey import Valkey
from tessera.kernel.errors import Invalid

_S3_WORDS = ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET")


class HalfGiven(Invalid):
    code = "embedded-s3-half-given"


@dataclass(frozen=True)
class Servers:
    """Where the servers are. Passwords are part of the URLs.

    Attributes:
        database_url: As the application's role, which is not a superuser.
        admin_database_url: As `postgres`, in the database `postgres`; for tests and backups.
    """

    database_url: str
    admin_database_url: str
    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str


class Stack:
    """The servers under one root folder; what `given` names is used instead and never stopped."""

    def __init__(
        self,
        places: Places,
        *,
        durable: bool,
        allow_origin: str | None,
        given: Mapping[str, str],
        say: Say,
    ) -> None:
        self._given = given
        self._valkey = Valkey(places, say=say)
        self._s3 = S3(places, say=say, allow_origin=allow_origin)
        self._postgres = Postgres(places, say=say, durable=durable)
        self._own = list(self._missing())

    def start(self) -> Servers:
        # PostgreSQL last: the others come up while it creates its data folder.
        for server in self._own:
            server.prepare()
            server.start()
        for server in self._own:
            server.wait()
            server.say(f"· {server.name} is up on port {server.port}")
        return self._servers()

    def revive(self) -> None:
        """Start again what has ended, at the same address."""
        for server in self._own:
            server.revive()

    def stop(self) -> None:
        with ExitStack() as last_first:  # it goes on when one of them fails to stop
            for server in self._own:
                last_first.callback(server.stop)

    def _missing(self) -> Iterator[Server]:
        if "REDIS_URL" not in self._given:
            yield self._valkey
        words = [word for word in _S3_WORDS if word in self._given]
        if not words:
            yield self._s3
        elif len(words) < len(_S3_WORDS):
            raise HalfGiven(f"Of {', '.join(_S3_WORDS)} give all or none; got {', '.join(words)}.")
        if "DATABASE_URL" not in self._given:
            yield self._postgres

    def _servers(self) -> Servers:
        given = self._given
        if self._postgres in self._own:
            database, admin = self._postgres.url, self._postgres.admin_url
        else:
            database = given["DATABASE_URL"]
            admin = given.get("ADMIN_DATABASE_URL", database)
        s3 = self._s3
        embedded = (s3.endpoint, s3.access_key, s3.secret_key, s3.bucket)
        where = embedded if s3 in self._own else tuple(given[word] for word in _S3_WORDS)
        redis = self._valkey.url if self._valkey in self._own else given["REDIS_URL"]
        return Servers(database, admin, redis, *where)


@contextmanager
def running(
    root: Path,
    *,
    durable: bool = True,
    allow_origin: str | None = None,
    given: Mapping[str, str] = os.environ,
    say: Say = print,
) -> Iterator[Servers]:
    """The servers, up and usable, for as long as the block lasts. Main thread only.

    Args:
        root: Everything they keep lies here; one process at a time may use it.
        durable: False makes PostgreSQL fast and forgetful, for tests; expect nothing to be
            left afterwards.
        allow_origin: The one web origin whose pages may call the S3 server.
        given: DATABASE_URL, REDIS_URL and S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_BUCKET
            name servers to use instead of our own.

    Raises:
        AlreadyRunning: Another process uses the root folder.
        StartFailed: A server did not come up; says why.
        HalfGiven: Some S3_ words are given, but not all.
    """
    places = Places.under(root)
    with places.alone(), ExitStack() as undo:
        own = Stack(places, durable=durable, allow_origin=allow_origin, given=given, say=say)
        undo.callback(own.stop)
        yield own.start()
