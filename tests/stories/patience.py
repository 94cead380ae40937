"""Clients that do not give up: what a good program or app does while a server comes and goes."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from httpx2 import HTTPError, Response

from tests.client import As, browser
from tests.quality.court import given

TRIES = 600
SELDOM = 0.05
NOT_SURE = {"outcome": "not_sure"}


class Patient(As):
    """Repeats a request until there is an answer; what creates something carries a key."""

    retries = 0

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Response:
        named = {**(headers or {})}
        if method == "POST" and not path.startswith("/v1/work/"):
            named["Idempotency-Key"] = uuid4().hex
        for _ in range(TRIES):
            try:
                response = await super().call(method, path, body, headers=named)
            except HTTPError:
                pass  # nobody there, or gone before the answer came
            else:
                assert response.status_code != 500, response.text
                if response.status_code not in {429, 503}:
                    return response
            Patient.retries += 1
            await asyncio.sleep(0.1)
        raise TimeoutError(path)


@dataclass
class Crowd:
    """Earners who answer what they get, or give it back, and remember what was acknowledged."""

    project_id: str
    acknowledged: dict[str, Any] = field(default_factory=dict)
    """Answers by lease, from the moment the server said that it has them."""
    refused: list[dict[str, Any]] = field(default_factory=list)
    stopped: int = 0

    async def work(
        self, earner: Patient, answer: Mapping[str, Any], over: asyncio.Event, rng: random.Random
    ) -> None:
        while not over.is_set():
            wanted = {"project_id": self.project_id, "count": rng.randint(1, 5)}
            handed = await earner.call("POST", "/v1/work/leases", wanted)
            if handed.status_code == 403:
                self.stopped += 1
                return
            leases = handed.json().get("leases", [])
            if not leases:
                # leases whose handing out was lost on the way are still ours
                leases = (await earner.get("/v1/work/leases"))["leases"]
            unwanted = [each["lease_id"] for each in leases if rng.random() < SELDOM]
            if unwanted:
                body = {"lease_ids": unwanted, "reason": "skip"}
                await earner.post("/v1/work/leases/return", body)
            said = {
                each["lease_id"]: given(each, NOT_SURE if rng.random() < SELDOM else answer)
                for each in leases
                if each["lease_id"] not in unwanted
            }
            await self.send(earner, said)
            await asyncio.sleep(rng.uniform(0.02, 0.2))

    async def send(self, earner: Patient, said: Mapping[str, Mapping[str, Any]]) -> None:
        """Answers by lease."""
        if not said:
            return
        response = await earner.call("POST", "/v1/work/answers", {"answers": [*said.values()]})
        if not response.is_success:
            self.refused.append(response.json())
            return
        for result in response.json()["results"]:
            if result["accepted"]:
                lease_id = result["lease_id"]
                self.acknowledged[lease_id] = said[lease_id].get("answer")
            else:
                self.refused.append(result)


async def put(url: str, data: bytes) -> None:
    async with browser() as outside:
        answer = await outside.put(url, content=data, headers={"Content-Type": "image/jpeg"})
    assert answer.is_success, answer.text
