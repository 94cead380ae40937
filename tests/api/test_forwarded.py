"""Whose word is taken for where a request comes from."""

from pathlib import Path

import pytest
from httpx2 import Client
from redis.asyncio import Redis

from api.limits import LIMITS
from tessera.kernel.settings import Settings
from tests.api.serving import serving

MOST = LIMITS["sign-up"].item.amount


ELSEWHERE = {"TESSERA_TRUSTED_PROXIES": "192.0.2.1", "FORWARDED_ALLOW_IPS": "*"}
A_NETWORK = {"TESSERA_TRUSTED_PROXIES": "192.0.2.1, 127.0.0.0/8"}


@pytest.mark.parametrize(
    ("trusted", "counted_apart"),
    [
        ({}, True),
        ({"TESSERA_TRUSTED_PROXIES": ""}, False),
        pytest.param(ELSEWHERE, False, marks=pytest.mark.long),
        pytest.param(A_NETWORK, True, marks=pytest.mark.long),
    ],
    ids=["this machine", "nobody", "another machine", "a network"],
)
async def test_only_a_trusted_proxy_says_from_where_a_request_comes(
    trusted: dict[str, str], *, counted_apart: bool, settings: Settings, tmp_path: Path
) -> None:
    async with Redis.from_url(str(settings.redis_url)) as redis:
        await redis.flushall()
    with (
        serving(settings, tmp_path / "log", TESSERA_RATE_LIMITS="true", **trusted) as served,
        Client(base_url=served.url) as http,
    ):
        answers = [
            http.post("/v1/sign-up", json={}, headers={"X-Forwarded-For": f"198.51.100.{n}"})
            for n in range(MOST + 1)
        ]
    assert [each.status_code for each in answers[:-1]] == [422] * MOST
    assert answers[-1].status_code == (422 if counted_apart else 429)
