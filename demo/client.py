"""Talking to the API as a person would have a script do it: over HTTP, nothing else."""

import asyncio
from typing import Any

from httpx2 import AsyncClient, HTTPError, Response

PASSWORD = "demo demo demo"  # noqa: S105 - printed for everybody to see
RETRIES = 5


class Refusal(Exception):  # noqa: N818
    """The API answered with a problem."""

    def __init__(self, response: Response) -> None:
        self.status = response.status_code
        is_json = "json" in response.headers.get("content-type", "")
        self.problem: dict[str, Any] = response.json() if is_json else {}
        super().__init__(f"{self.status} {response.text[:500]}")

    @property
    def code(self) -> str:
        return str(self.problem.get("code", ""))


class Person:
    """Somebody with a token."""

    def __init__(self, http: AsyncClient, email: str, token: str) -> None:
        self.http = http
        self.email = email
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str) -> Any:
        return await self._call("GET", path, None)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._call("POST", path, body)

    async def put(self, path: str, body: Any) -> Any:
        return await self._call("PUT", path, body)

    async def post_for_bytes(self, path: str) -> bytes:
        return (await self._send("POST", path, None)).content

    async def _call(self, method: str, path: str, body: Any) -> Any:
        response = await self._send(method, path, body)
        return response.json() if response.content else None

    async def _send(self, method: str, path: str, body: Any) -> Response:
        """Try again while the server is busy or away; every call here may be repeated."""
        for attempt in range(RETRIES):
            try:
                response = await self.http.request(method, path, json=body, headers=self._headers)
            except HTTPError:
                if attempt == RETRIES - 1:
                    raise
            else:
                if response.status_code != 503:
                    break
            await asyncio.sleep(0.5 * 2**attempt)
        if not response.is_success:
            raise Refusal(response)
        return response


async def sign_up(http: AsyncClient, email: str, *, name: str, kind: str) -> Person:
    """Log in to the account of an earlier run, or open it."""
    credentials = {"email": email, "password": PASSWORD}
    login = await http.post("/v1/sessions", json=credentials)
    if not login.is_success and Refusal(login).code == "bad-credentials":
        made = await http.post("/v1/sign-up", json={**credentials, "name": name, "kind": kind})
        if not made.is_success:
            raise Refusal(made)
        login = await http.post("/v1/sessions", json=credentials)
    if not login.is_success:
        raise Refusal(login)
    return Person(http, email, login.json()["token"])


async def upload(
    operator: Person, project_id: str, files: dict[str, bytes], *, content_type: str
) -> None:
    """Register files, PUT each to its link, and say that they have arrived."""
    try:
        registered = await operator.post(
            f"/v1/projects/{project_id}/images",
            {"files": [{"name": name, "content_type": content_type} for name in files]},
        )
    except Refusal as refusal:
        if refusal.code != "files-refused":
            raise
        registered = refusal.problem
    arrived = []
    async with AsyncClient(timeout=120) as outside:
        for one in registered["uploads"]:
            if one["put_url"] is None:
                continue  # uploaded by an earlier run
            put = await outside.put(
                one["put_url"], content=files[one["name"]], headers={"Content-Type": content_type}
            )
            put.raise_for_status()
            arrived.append(one["image_id"])
    if arrived:
        await operator.post(f"/v1/projects/{project_id}/images/uploaded", {"image_ids": arrived})


async def all_items(person: Person, path: str) -> list[dict[str, Any]]:
    """Every page of a list."""
    items: list[dict[str, Any]] = []
    joint = "&" if "?" in path else "?"
    page = await person.get(f"{path}{joint}limit=200")
    while True:
        items += page["items"]
        if page["next"] is None:
            return items
        page = await person.get(f"{path}{joint}limit=200&cursor={page['next']}")


async def images_done(operator: Person, project_id: str) -> list[dict[str, Any]]:
    """Wait until every image is sliced or refused."""
    while True:
        images = await all_items(operator, f"/v1/projects/{project_id}/images")
        if all(image["state"] in {"ready", "refused", "registered"} for image in images):
            return images
        await asyncio.sleep(0.5)


async def run_done(operator: Person, run: dict[str, Any]) -> dict[str, Any]:
    """Wait for a dataset's build or verification."""
    while run["state"] == "running":
        await asyncio.sleep(0.3)
        run = await operator.get(f"/v1/dataset-runs/{run['id']}")
    return run
