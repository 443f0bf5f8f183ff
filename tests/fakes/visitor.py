"""A visitor of the web chat as far as HTTP goes: a cookie, an origin, a stream that is read."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import ClientResponse, ClientSession, ClientTimeout, CookieJar, web

PATIENCE = 10.0
"""Seconds after which a thing that was waited for counts as missing."""


async def until(holds: Callable[[], Awaitable[bool]], *, within: float = PATIENCE) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(within):
        while not await holds():  # noqa: ASYNC110 - processes and databases set no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    """Serves an application on loopback as `motcua serve` does; gives its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    id: int | None
    data: dict[str, Any]

    @property
    def text(self) -> str:
        """All words of a reply."""
        return words(self.data["blocks"])


class Stream:
    """The open event stream of a visitor."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def next(self) -> Event:
        """The next event; comments and the retry hint are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                fields = await self._fields()
                if "data" in fields:
                    id_ = int(fields["id"]) if "id" in fields else None
                    return Event(fields["event"], id_, json.loads(fields["data"]))

    async def reply(self) -> Event:
        """The next event, which must be a reply."""
        event = await self.next()
        assert event.name == "reply", event
        return event

    async def ended(self) -> bool:
        """Whether the server has closed the stream, with nothing more to read."""
        async with asyncio.timeout(PATIENCE):
            return await self.response.content.read() == b""

    async def _fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while line := (await self._line()).rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields

    async def _line(self) -> str:
        line = await self.response.content.readline()
        if not line:
            raise EOFError("the stream ended")
        return line.decode()


class Visitor:
    """Somebody with a browser: opens the page, posts, reads the history and the stream."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = ClientSession(
            url, cookie_jar=CookieJar(unsafe=True), timeout=ClientTimeout(total=None)
        )
        self.headers = {"Origin": url}
        self.offered: dict[str, str] = {}
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        response = await self.session.get("/")
        assert response.status == 200, await response.text()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @property
    def cookie(self) -> str:
        """The value of the visitor's cookie, and their only key."""
        [cookie] = self.session.cookie_jar
        return cookie.value

    async def post(self, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        """Posts a body as it stands (bytes) or as JSON; gives the status and the answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(
            "/chat/messages", data=content, headers={**self.headers, **headers}
        ) as response:
            return response.status, await response.json()

    async def send(self, text: str, id_: str = "", **more: str) -> tuple[int, dict[str, Any]]:
        """Posts words as the page would."""
        return await self.post({"id": id_ or f"message-{next(self._ids)}", "text": text, **more})

    async def press(self, token: str, label: str = "") -> tuple[int, dict[str, Any]]:
        """Posts a pressed choice as the page would."""
        return await self.send("", pressed=token, label=label)

    async def history(self) -> dict[str, Any]:
        """What the page gets when it is loaded."""
        async with self.session.get("/chat/history") as response:
            assert response.status == 200, await response.text()
            history: dict[str, Any] = await response.json()
            return history

    @asynccontextmanager
    async def stream(self, after: int | None = None, **headers: str) -> AsyncIterator[Stream]:
        """An open stream."""
        params = {} if after is None else {"after": str(after)}
        async with self.session.get("/chat/stream", params=params, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield Stream(response)

    async def says(self, stream: Stream, text: str) -> Event:
        """Sends words and gives the reply."""
        assert (await self.send(text))[0] == 202
        return await self._hear(stream)

    async def presses(self, stream: Stream, label: str) -> Event:
        """Presses the choice with that label among those offered last, and gives the reply."""
        assert (await self.press(self.offered[label], label))[0] == 202
        return await self._hear(stream)

    async def _hear(self, stream: Stream) -> Event:
        event = await stream.reply()
        self.offered = {
            choice["label"]: choice["token"]
            for block in event.data["blocks"]
            if block["type"] == "choices"
            for choice in block["choices"]
        }
        return event

    async def files(self, stream: Stream, story: str) -> str:
        """Brings a case through the form, without a name; gives its code."""
        await self.says(stream, story)
        await self.presses(stream, "Đồng ý")
        await self.says(stream, "quầy số 3")
        await self.says(stream, "sáng thứ hai")
        await self.presses(stream, "Gửi không nêu tên")
        taken = await self.presses(stream, "Gửi")
        return code_in(taken.text)


def code_in(text: str) -> str:
    """The one case code that a text tells."""
    [code] = codes_in(text)
    return code


def codes_in(text: str) -> list[str]:
    """Every case code that a text tells."""
    return re.findall(r"MC-\w{4}-\w{4}-\w", text)


def words(blocks: list[dict[str, Any]]) -> str:
    """All words of a reply's blocks, without its choices."""
    return "\n\n".join(block["text"] for block in blocks if "text" in block)
