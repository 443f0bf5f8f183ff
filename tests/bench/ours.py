"""Our side: `motcua serve` and `nlu.serve` as an operator starts them, in a folder of their own."""

import asyncio
import contextlib
import secrets
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.bench.conversation import TEXTS
from tests.bench.processes import (
    BENCH,
    CHECKOUT,
    NLU_PYTHON,
    PYTHON,
    BenchBroken,
    Child,
    answers,
    child,
    free_port,
)
from tests.fakes.visitor import Stream, Visitor

MODEL = CHECKOUT / "var" / "model" / "nlu.tar.gz"

_START_SECONDS = 60.0
_ANY_MORE_SECONDS = 0.3
_SILENCE_SECONDS = 0.002
_UNLIMITED = "1000000"
_NOTHING_ELSE = dict.fromkeys(
    (
        "MOTCUA_DATABASE_URL",
        "MOTCUA_PUBLIC_URL",
        "MOTCUA_TELEGRAM_TOKEN",
        "MOTCUA_TELEGRAM_SECRET",
        "MOTCUA_ZALO_APP_ID",
    ),
    "",
)
"""So that an operator's `.env` opens no channel to real people, and no real database."""


@dataclass
class Ours:
    """A gateway with its nlu."""

    url: str
    nlu_url: str
    token: str
    database: Path
    children: Sequence[Child]
    parsing: aiohttp.ClientSession
    name: str = "ours"
    replies: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def conversation(self) -> AsyncIterator["Chat"]:
        """A visitor with a cookie of their own and an open stream."""
        async with Visitor(self.url) as visitor, visitor.stream() as stream:
            chat = Chat(visitor, stream, self.replies)
            yield chat
            if await chat.silence(_SILENCE_SECONDS):
                raise BenchBroken("a line got more replies than at first: no time can be trusted")

    async def parse(self, text: str) -> None:
        """Asks nlu as the gateway does."""
        async with self.parsing.post(
            f"{self.nlu_url}/model/parse", params={"token": self.token}, json={"text": text}
        ) as response:
            if response.status != 200 or not (await response.json())["intent"]["name"]:
                raise BenchBroken(f"our nlu did not understand {text!r}: {response.status}")

    def cases(self) -> dict[str, int]:
        """How many cases were kept, by channel."""
        sql = (
            "SELECT channel, count(*) FROM cases "
            "JOIN conversations ON conversations.id = conversation_id GROUP BY channel"
        )
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return dict(db.execute(sql))

    async def learn_replies(self) -> None:
        """How many replies each line of the conversation gets, so that the last is waited for."""
        async with self.conversation() as chat:
            for line in TEXTS:
                self.replies[line] = await chat.count_replies(line)
        if not self.cases():
            raise BenchBroken("the ten lines bring no case any more: mend bench/conversation.py")


@dataclass
class Chat:
    """A visitor's conversation over the web chat."""

    visitor: Visitor
    stream: Stream
    replies: Mapping[str, int]

    async def say(self, line: str) -> None:
        """POST /chat/messages, then every reply over the open stream."""
        await self._post(line)
        for _ in range(self.replies[line]):
            await self.stream.reply()

    async def count_replies(self, line: str) -> int:
        """Says a line and waits until nothing more comes."""
        await self._post(line)
        await self.stream.reply()
        return 1 + await self.silence(_ANY_MORE_SECONDS)

    async def silence(self, seconds: float) -> int:
        """Waits until nothing came for a while; how many replies came before."""
        count = 0
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(self.stream.reply(), seconds)
                count += 1
        return count

    async def _post(self, line: str) -> None:
        status, body = await self.visitor.send(line)
        if status != 202:
            raise BenchBroken(f"our gateway answered {status} to a message: {body}")


@asynccontextmanager
async def ours(
    settings: Mapping[str, str] | None = None, name: str = "our gateway"
) -> AsyncIterator[Ours]:
    """Our side, started, with an empty database with full durability on the checkout's disk."""
    BENCH.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        var = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=BENCH, prefix="var-")))
        nlu, nlu_url, token = await stack.enter_async_context(nlu_in(var))
        environment = {
            **_NOTHING_ELSE,
            "MOTCUA_VAR": str(var),
            "MOTCUA_PORT": str(free_port()),
            "MOTCUA_NLU_URL": nlu_url,
            "MOTCUA_MESSAGES_PER_MINUTE": _UNLIMITED,
            **(settings or {}),
        }
        url = f"http://127.0.0.1:{environment['MOTCUA_PORT']}"
        command = [PYTHON.with_name("motcua"), "serve"]
        gateway = await stack.enter_async_context(child(name, command, CHECKOUT, environment))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await gateway.until(lambda: answers(session, f"{url}/health"), _START_SECONDS)
        yield Ours(url, nlu_url, token, var / "motcua.db", (gateway, nlu), session)


@asynccontextmanager
async def nlu_in(var: Path) -> AsyncIterator[tuple[Child, str, str]]:
    """nlu with a token of its own in a folder; gives the process, its address and the token."""
    if not MODEL.is_file():
        raise BenchBroken("our model is not trained: run `make setup`")
    token = secrets.token_urlsafe(32)
    file = var / "nlu-token"
    file.touch(0o600)
    file.write_text(token)
    url = f"http://127.0.0.1:{free_port()}"
    command = [NLU_PYTHON, "-m", "nlu.serve", "--model", MODEL, "--token-file", file]
    command += ["--port", url.rpartition(":")[2]]
    async with (
        child("our nlu", command, CHECKOUT, {}) as nlu,
        aiohttp.ClientSession() as session,
    ):
        await nlu.until(lambda: answers(session, f"{url}/status?token={token}"), _START_SECONDS)
        yield nlu, url, token
