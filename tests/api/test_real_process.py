"""What only shows in the API as it is really run: on a socket, with its log."""

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Client, Response

from tests.api.serving import Served
from tests.deploy.driving import eventually
from tests.world import BOX_SCHEMA

PASSWORD = "a canary for a password"
IBAN = "DE89370400440532013000"
CANARY = "a-canary-of-my-own"


@pytest.fixture
def http(served: Served) -> Iterator[Client]:
    with Client(base_url=served.url, timeout=30) as http:
        yield http


def sign_up(http: Client, kind: str, email: str = "") -> tuple[dict[str, str], str]:
    """Headers of somebody new, and their token."""
    who = {"email": email or f"{kind}@example.org", "password": PASSWORD}
    assert http.post("/v1/sign-up", json={**who, "name": "N", "kind": kind}).status_code == 201
    token = http.post("/v1/sessions", json=who).json()["token"]
    return {"Authorization": f"Bearer {token}"}, token


def log_after(served: Served, last: Response) -> str:
    """The log up to a request; its line is written after its answer."""
    for _ in range(100):
        log = served.log.read_text()
        if last.headers["x-request-id"] in log:
            return log
        time.sleep(0.05)
    raise AssertionError("the request is not in the log")


def test_no_secret_ever_reaches_the_log(http: Client, served: Served) -> None:
    owner, token = sign_up(http, "operator")
    earner, earner_token = sign_up(http, "earner")
    founded = http.post("/v1/organisations", json={"name": "N"}, headers=owner).json()
    organisation = f"/v1/organisations/{founded['id']}"
    key = http.post(
        f"{organisation}/api-keys",
        json={"name": "N", "scopes": ["projects:read", "projects:write"]},
        headers=owner,
    ).json()["key"]
    project = http.post(
        f"{organisation}/projects",
        json={
            "name": "N",
            "kind": "box",
            "label_schema": BOX_SCHEMA,
            "currency": "USD",
            "price_micro": 1,
        },
        headers=owner,
    ).json()
    images = http.post(
        f"/v1/projects/{project['id']}/images",
        json={"files": [{"name": "1.jpg", "content_type": "image/jpeg"}]},
        headers={"Authorization": f"Bearer {key}"},
    ).json()
    (signature,) = parse_qs(urlsplit(images["uploads"][0]["put_url"]).query)["X-Amz-Signature"]
    bank = {"rail": "manual", "details": {"holder": "Ada", "iban": IBAN}}
    assert http.put("/v1/payout-destination", json=bank, headers=earner).status_code == 200
    # and where things go wrong
    http.post("/v1/sessions", json={"email": "operator@example.org", "password": CANARY})
    http.post("/v1/sessions", content=f'{{"password": "{CANARY}", '.encode())
    http.post("/v1/sign-up", json={"email": CANARY, "password": CANARY})
    http.get("/v1/me", headers={"Authorization": f"Bearer {CANARY}"})
    http.get("/v1/me", headers={"Authorization": f"Basic {CANARY}", "Idempotency-Key": CANARY})
    http.get(f"/v1/earnings?cursor={CANARY}&token={CANARY}", headers=earner)
    last = http.get(f"/v1/{CANARY}/{CANARY}", headers={"Cookie": CANARY, "User-Agent": CANARY})
    log = log_after(served, last)
    for secret in (PASSWORD, token, earner_token, key, signature, IBAN, CANARY, "argon2"):
        assert secret not in log


def test_every_line_of_the_log_is_json_and_says_which_request_and_whose(
    http: Client, served: Served
) -> None:
    headers, _ = sign_up(http, "operator", "log@example.org")
    got = http.get("/v1/me", headers=headers)
    lines = [json.loads(line) for line in log_after(served, got).splitlines()]
    (mine,) = [line for line in lines if line["request_id"] == got.headers["x-request-id"]]
    assert mine.keys() >= {"event", "level", "timestamp", "method", "route", "status"}
    assert mine["person_id"] == got.json()["person_id"]


def test_ten_megabytes_over_a_socket_get_their_answer(http: Client) -> None:
    got = http.post(
        "/v1/sessions", content=b" " * 10 * 2**20, headers={"Content-Type": "application/json"}
    )
    assert got.status_code == 413
    assert got.json()["code"] == "body-too-large"
    assert got.headers["content-type"] == "application/problem+json"
    assert "x-request-id" in got.headers
    assert http.get("/healthz").status_code == 200


def test_who_hangs_up_in_the_middle_of_a_body_is_no_failure_of_ours(served: Served) -> None:
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port)) as caller:
        caller.sendall(
            b"POST /v1/sign-up HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    eventually(lambda: '"status":499' in served.log.read_text().replace(" ", ""))
    assert "unexpected error" not in served.log.read_text()


def test_it_does_not_say_what_it_is_made_of(http: Client) -> None:
    assert "server" not in http.get("/healthz").headers
