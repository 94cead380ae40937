"""Short words for saying that something was refused."""

from typing import Any

from httpx2 import Response

from tests.client import As

NO_COUNTS: list[Any] = [
    0, -1, 0.5, 1.0, 2e4, "20000", "٢٠٠٠٠", True, None, [], {}, 2**63, 10**30,
]  # fmt: skip
"""What is no whole number above zero, in so many ways."""


def refused(response: Response, status: int = 422, code: str = "invalid-request") -> bool:
    return (
        response.status_code == status
        and response.headers["content-type"] == "application/problem+json"
        and response.json()["code"] == code
    )


async def taken(
    someone: As, method: str, path: str, bodies: list[Any], code: str = "invalid-request"
) -> list[tuple[Any, str]]:
    """Those of the bodies that are not refused, and what was said instead."""
    answers = [(body, await someone.call(method, path, body)) for body in bodies]
    return [(body, answer.text) for body, answer in answers if not refused(answer, code=code)]
