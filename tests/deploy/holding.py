"""Hold the servers until killed: `python -m tests.deploy.holding ROOT`."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from deploy.embedded.stack import running

if __name__ == "__main__":
    with running(Path(sys.argv[1]), say=lambda _: None) as servers:
        print("up", json.dumps(asdict(servers)), flush=True)  # noqa: T201
        time.sleep(600)
