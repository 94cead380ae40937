"""The supervisor with stand-ins for the product: `python -m tests.deploy.supervised ROOT [APP]`.

APP is the code of an app that is run instead of the API's stand-in.
"""

import signal
import sys
from pathlib import Path

from deploy.embedded.supervisor import Plan, up
from tessera.kernel.errors import DomainError
from tests.deploy.driving import CHECKOUT

PYTHON = (sys.executable, "-c")

API = """
import http.server, os, signal, socket, time
began = time.monotonic()
signal.signal(signal.SIGTERM, lambda *_: (print("api: bye", time.time(), flush=True), exit(0)))
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/readyz" and time.monotonic() - began > 0.5
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(b"warming up")
server = http.server.HTTPServer(("127.0.0.1", 0), Answers, bind_and_activate=False)
server.socket = socket.socket(fileno=int(os.environ["TESSERA_API_FD"]))
server.serve_forever()
"""
WORKERS = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: (print("workers: bye", time.time(), flush=True), exit(0)))
time.sleep(600)
"""
MIGRATE = """
import asyncio, asyncpg, os
async def main():
    database = await asyncpg.connect(os.environ["TESSERA_DATABASE_URL"])
    await database.execute("CREATE TABLE IF NOT EXISTS migrated ()")
    await database.close()
asyncio.run(main())
"""
SEED = """
import os
for name in sorted(os.environ):
    if name.startswith("TESSERA_"):
        print("seed:", name, os.environ[name])
print("seed: done")
"""


def plan(root: Path, app: str) -> Plan:
    return Plan(
        root=root,
        cwd=CHECKOUT,
        migrate=(*PYTHON, MIGRATE),
        api=(*PYTHON, app),
        workers=(*PYTHON, WORKERS),
        seed=(*PYTHON, SEED),
    )


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # though the tests themselves may run under nohup
    try:
        up(plan(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else API), say=say)
    except KeyboardInterrupt:
        say("stopped")
    except DomainError as error:
        sys.exit(f"! {error.detail}")
