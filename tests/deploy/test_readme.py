"""The README's tour, pasted as a new user would."""

import os
import re
import subprocess
import sys
from pathlib import Path

from deploy.embedded.instance import instance
from deploy.embedded.supervisor import settings

BLOCKS = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_tour_can_be_pasted_and_ends_with_a_file_for_the_bank(tmp_path: Path) -> None:
    tour = "\n".join(BLOCKS.findall(Path("README.md").read_text()))
    root = tmp_path / "instance"
    with instance(
        root,
        env={"PATH": os.environ["PATH"], "TESSERA_DECISIONS_EVERY": "PT1S"},
        say=lambda _: None,
    ) as running:
        host, port = running.url.removeprefix("http://").split(":")
        env = {
            # Python itself before scripts that look for one: the tour starts it fifty times
            "PATH": f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}",
            "TESSERA": running.url,
            **settings(running.servers),
            "TESSERA_API_HOST": host,
            "TESSERA_API_PORT": port,
        }
        subprocess.run([sys.executable, "-m", "demo.seed"], check=True, env=env)
        Path("var").mkdir(exist_ok=True)
        pasted = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", tour],
            env=env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert pasted.returncode == 0, pasted.stdout[-3000:] + pasted.stderr[-3000:]
    assert '"file_name":"chelsea.png"' in pasted.stdout.replace(" ", "")
    assert sorted(re.findall(r'"category_id":(\d)', pasted.stdout)) == ["1", "2", "3"]
    assert "DE89370400440532013000" in pasted.stdout
