"""HTTP/1.1 with as little work as possible: whoever measures must not use up the cores."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self


class Wire:
    """One connection that stays open and sends one request after the other."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port = host, port
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    async def post(self, path: str, body: Any) -> Any:
        """Raises RuntimeError unless the answer is a success."""
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        self._writer.write(head.encode() + data)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = answer.split("\r\ncontent-length:", 1)[1].split("\r\n", 1)[0]
        content = await self._reader.readexactly(int(length))
        if not answer.startswith("http/1.1 2"):
            raise RuntimeError(f"{answer}{content.decode()}")
        return json.loads(content)
