"""A made-up messenger, whole in one file: the measure of what a new channel takes.

It is copied into a folder of channels by tests/test_fifth_channel.py, and found there. Letters come
in by POST and leave by POST to `PIGEON_URL`.
"""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from aiohttp import ClientConnectorError, ClientError, ClientSession, web

from bot.channel import FileGone, OutcomeUnknown, OutOfReach, Pace, Recipient, Refused, TryLater
from bot.message import Block, Message, Sender
from bot.plain import plain_text, split
from bot.reception import Reception
from bot.store import StoreUnavailable

LONGEST = 160


def open_channel(reception: Reception) -> "Pigeons | None":
    """The channel, where a pigeon house is set."""
    url = os.environ.get("PIGEON_URL", "")
    return Pigeons(url, reception) if url else None


class Pigeons:
    """Letters of at most 160 letters; no buttons, no pictures."""

    name = "pigeon"
    account = "loft"
    pace = Pace(account_per_second=10, account_burst=10, person_per_second=1, person_burst=3)

    def __init__(self, url: str, reception: Reception) -> None:
        self._url, self._reception = url, reception
        self._http: ClientSession | None = None

    def add_to(self, app: web.Application) -> None:
        """Adds the landing board, and the session for sending."""
        app.router.add_post("/pigeon", self.lands)
        app.cleanup_ctx.append(self._open)

    async def _open(self, _app: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as self._http:
            yield

    async def lands(self, request: web.Request) -> web.Response:
        """Takes one letter: 200 once it is kept."""
        letter = await request.json()
        sender = Sender(self.name, self.account, letter["from"])
        at = datetime.fromisoformat(letter["at"])
        try:
            await self._reception.keep(Message(sender, letter["id"], at, letter["text"]))
        except StoreUnavailable:
            return web.Response(status=503)
        return web.Response()

    def parts(self, blocks: Sequence[Block]) -> list[str]:
        """A reply as letters, in plain words."""
        return split(plain_text(blocks), LONGEST)

    async def deliver(self, to: Recipient, part: str) -> None:
        """Sends one letter."""
        if self._http is None:
            raise TryLater("the loft is closed")
        try:
            answer = await self._http.post(self._url, json={"to": to.person, "text": part})
        except ClientConnectorError:
            raise TryLater("no pigeon house") from None
        except (ClientError, TimeoutError):
            raise OutcomeUnknown("the pigeon did not come back") from None
        if answer.status == 410:
            raise OutOfReach("moved away")
        if answer.status >= 500:
            raise TryLater(f"answered {answer.status}")
        if answer.status != 200:
            raise Refused(f"answered {answer.status}")

    async def fetch(self, reference: str) -> bytes:
        """Pigeons carry no files."""
        raise FileGone(reference)
