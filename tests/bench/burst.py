"""Three hundred updates a second for ten seconds, whatever the answer: is each one kept, once?"""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.conversation import TEXTS
from tests.bench.ours import ours
from tests.bench.processes import free_port
from tests.fakes.platform import VirtualClock
from tests.fakes.telegram import FakeTelegram

PER_SECOND = 300
SECONDS = 10
PEOPLE = 1000
_SENT_AGAIN_EVERY = 20
_PATIENCE_SECONDS = 60.0
_SECRET = "bench-secret"


@dataclass(frozen=True)
class Post:
    """One request of the platform."""

    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """What the database holds after the last turn."""

    updates: int
    inbox_rows: int
    turns: int
    replies: int
    without_turn: int
    without_reply: int


@dataclass(frozen=True)
class Burst:
    """What became of a burst."""

    sent: int
    sent_again: int
    acknowledged: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    late_p99_ms: float
    """How late the bench itself sent; it is part of the times above."""
    answered_after_s: float
    """From the first update until the last turn was taken."""
    kept: Kept

    @property
    def lost(self) -> int:
        """Updates with no inbox row, no turn or no reply."""
        return self.sent - self.kept.updates + self.kept.without_turn + self.kept.without_reply

    @property
    def doubled(self) -> int:
        """Rows and turns beyond one for each update."""
        kept = self.kept
        return kept.inbox_rows - kept.updates + max(0, kept.turns - kept.updates)


async def burst_of_telegram() -> Burst:
    """A burst on the Telegram webhook of a gateway that holds nothing else."""
    fake = FakeTelegram(clock=VirtualClock(real=True))
    url = f"http://127.0.0.1:{free_port()}"
    async with fake.listening():
        settings = {
            "MOTCUA_PUBLIC_URL": url,
            "MOTCUA_PORT": url.rpartition(":")[2],
            "MOTCUA_TELEGRAM_TOKEN": fake.token,
            "MOTCUA_TELEGRAM_SECRET": _SECRET,
            "MOTCUA_TELEGRAM_API_URL": fake.base_url,
            "MOTCUA_TELEGRAM_FILE_URL": fake.base_file_url,
        }
        async with ours(settings, "our gateway with Telegram") as gateway:
            hook = f"{url}/telegram/{fake.token.partition(':')[0]}"
            return await burst(hook, partial(_update, fake), gateway.database, "telegram")


def _update(fake: FakeTelegram, number: int) -> Post:
    """An update as Telegram posts it; each person writes three times in ten seconds."""
    person = fake.person(1 + number % PEOPLE)
    person.known = True
    said = person.message(person, text=TEXTS[number // PEOPLE % len(TEXTS)])
    headers = {"X-Telegram-Bot-Api-Secret-Token": _SECRET}
    return Post(headers, {"update_id": 1 + number, "message": said})


async def burst(url: str, update: Callable[[int], Post], database: Path, channel: str) -> Burst:
    """Posts the updates open-loop, some twice as platforms do, and waits for every turn."""
    posts = _posts(update)
    started = time.perf_counter()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
    ) as session:
        outcomes = await asyncio.gather(
            *(_send(session, url, post, started + at) for at, post in posts)
        )
    sent = PER_SECOND * SECONDS
    await _all_answered(database, channel)
    answered = time.perf_counter() - started
    times = statistics.quantiles((ms for _, ms, _ in outcomes), n=100)
    return Burst(
        sent,
        len(posts) - sent,
        sum(200 <= status < 300 for status, _, _ in outcomes),
        times[49],
        times[98],
        max(ms for _, ms, _ in outcomes),
        statistics.quantiles((late for _, _, late in outcomes), n=100)[98],
        answered,
        look(database, channel),
    )


def _posts(update: Callable[[int], Post]) -> list[tuple[float, Post]]:
    """Every update at its moment; each twentieth comes again half a second later."""
    posts = []
    for number in range(PER_SECOND * SECONDS):
        post, at = update(number), number / PER_SECOND
        posts.append((at, post))
        if number % _SENT_AGAIN_EVERY == 0:
            posts.append((at + 0.5, post))
    return posts


async def _send(
    session: aiohttp.ClientSession, url: str, post: Post, at: float
) -> tuple[int, float, float]:
    """Status, milliseconds from the moment at which it was due, and how late it left."""
    await asyncio.sleep(at - time.perf_counter())
    late = time.perf_counter() - at
    try:
        async with session.post(url, headers=post.headers, json=post.body) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        status = 0
    return status, 1000 * (time.perf_counter() - at), 1000 * late


async def _all_answered(database: Path, channel: str) -> None:
    """Waits until every kept update has its turn, or nothing happens any more."""
    turns, since = -1, time.perf_counter()
    while turns < _count(database, _KEPT, channel):
        await asyncio.sleep(0.5)
        now = _count(database, _TURNS, channel)
        if now > turns:
            turns, since = now, time.perf_counter()
        elif time.perf_counter() - since > _PATIENCE_SECONDS:
            return


def look(database: Path, channel: str) -> Kept:
    """Counts what was kept of the updates of a channel."""

    def count(sql: str) -> int:
        return _count(database, sql, channel)

    return Kept(
        updates=count("SELECT count(DISTINCT external_id) FROM inbox WHERE channel = ?"),
        inbox_rows=count(_KEPT),
        turns=count(_TURNS),
        replies=count(
            "SELECT count(*) FROM outbox JOIN turns ON turns.id = outbox.turn_id "
            "JOIN inbox ON inbox.id = turns.inbox_id WHERE inbox.channel = ?"
        ),
        without_turn=count(
            "SELECT count(*) FROM inbox WHERE channel = ? "
            "AND id NOT IN (SELECT inbox_id FROM turns)"
        ),
        without_reply=count(
            "SELECT count(*) FROM turns JOIN inbox ON inbox.id = turns.inbox_id "
            "WHERE inbox.channel = ? AND turns.id NOT IN "
            "(SELECT turn_id FROM outbox WHERE turn_id IS NOT NULL)"
        ),
    )


_KEPT = "SELECT count(*) FROM inbox WHERE channel = ?"
_TURNS = "SELECT count(*) FROM turns JOIN inbox ON inbox.id = inbox_id WHERE channel = ?"


def _count(database: Path, sql: str, channel: str) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        counted: int = connection.execute(sql, (channel,)).fetchone()[0]
    finally:
        connection.close()
    return counted
