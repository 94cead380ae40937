"""Files of annotations on their way in, as an operator sends them."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from tests.images.ingesting import put
from tests.quality.court import SIDE, Court

ANY_FILE = "application/octet-stream"


async def announced(
    here: Court, data: bytes, *, status: int = 201, **changes: Any
) -> dict[str, Any]:
    """An import of a file that is not sent yet."""
    body = {
        "purpose": "gold",
        "format": "json-lines",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **changes,
    }
    made: dict[str, Any] = await here.operator.post(
        f"{here.path}/annotation-imports", body, status=status
    )
    return made


async def sent(here: Court, data: bytes, **changes: Any) -> str:
    """A file that was sent and waits; the id of its import."""
    made = await announced(here, data, **changes)
    await put(made["put_url"], data, ANY_FILE)
    await here.operator.post(f"/v1/annotation-imports/{made['id']}/uploaded", status=202)
    return str(made["id"])


async def brought(here: Court, data: bytes, **changes: Any) -> dict[str, Any]:
    """An import that is over, with the first page of its report."""
    import_id = await sent(here, data, **changes)
    await here.judge()
    return await told(here, import_id)


async def told(here: Court, import_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await here.operator.get(f"/v1/annotation-imports/{import_id}?limit=200")
    return found


def json_lines(said: Mapping[str, list[dict[str, Any]]], side: int = SIDE) -> bytes:
    """Coins by the name of their image: class and box each."""
    lines = [
        {
            "name": name,
            "width": side,
            "height": side,
            "objects": [
                {
                    "class_id": each["class"],
                    "place": {"box": each["box"]},
                    "attributes": each.get("attributes", {}),
                }
                | ({"confidence": each["confidence"]} if "confidence" in each else {})
                for each in objects
            ],
        }
        for name, objects in said.items()
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return out.getvalue()


def counts(made: Mapping[str, Any]) -> dict[str, int]:
    names = ("images", "tasks", "left_tasks", "untold_tiles", "refused_records", "left_out")
    return {name: made[name] for name in names}


def refusals(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where something was refused, and why."""
    return [(each["at"], each["problem"]["code"]) for each in made["report"] if each["problem"]]
