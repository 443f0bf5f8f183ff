"""The gateway: one aiohttp application that holds the channels, the workers and the jobs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from actions.deadlines import Calendar, local_day
from actions.find import Finder
from actions.knowledge import BadData, Knowledge, Problem
from bot.channels.web import WebChat
from bot.dialogue import Dialogue, Intent, load_ears, load_intents
from bot.replies import Replies
from bot.settings import BadSettings, Settings
from bot.store import Session, Store, StoreUnavailable, outbox, retention
from bot.turn import House
from bot.understanding import Ear, Nlu, load_shorthand
from bot.worker import Clock, Worker

log = logging.getLogger(__name__)

_WORKERS = 4
_JOBS_SECONDS = 60.0
_TRIPPED_SECONDS = 0.5


def system_clock() -> datetime:
    """The present moment; the only place that reads the machine's clock."""
    return datetime.now(UTC)


def build_house(settings: Settings) -> House:
    """Loads everything under `data/` once; raises BadData, or BadSettings for an unknown office."""
    knowledge = Knowledge.load(settings.data / "knowledge")
    if settings.office not in knowledge.files.offices:
        offices = ", ".join(knowledge.files.offices)
        raise BadSettings(f"MOTCUA_OFFICE: no office {settings.office!r}; there are: {offices}")
    intents = load_intents(settings.data / "intents.yml")
    dialogue = Dialogue(
        knowledge,
        intents,
        load_ears(settings.data / "vocabulary" / "heard_first.yml"),
        Calendar(knowledge.files.holidays),
    )
    replies = Replies(settings.data / "replies" / "vi", knowledge)
    _check_intents(intents, replies)
    return House(
        knowledge,
        dialogue,
        replies,
        Finder(knowledge.topics()),
        load_shorthand(settings.data / "vocabulary" / "teencode.yml"),
        settings.words_days,
    )


def _check_intents(intents: Iterable[Intent], replies: Replies) -> None:
    problems = [
        Problem("intents.yml", intent.id, f"no reply is called {intent.reply}")
        for intent in intents
        if intent.reply and intent.reply not in replies.replies
    ]
    if problems:
        raise BadData(problems)


@dataclass(frozen=True)
class Parts:
    """What a gateway is made of."""

    settings: Settings
    house: House
    store: Store
    nlu: Nlu
    worker: Worker
    clock: Clock


def assemble(settings: Settings, house: House, store: Store, clock: Clock) -> Parts:
    """Puts the parts together; opens nothing."""
    nlu = Nlu(settings.nlu_url, settings.nlu_token, settings.nlu_timeout)
    ear = Ear(nlu, house.finder, house.shorthand)
    return Parts(settings, house, store, nlu, Worker(store, ear, house, clock), clock)


def create_app(parts: Parts) -> web.Application:
    """The application; everything that it opens it also closes."""
    app = web.Application()
    chat = _web_chat(parts)
    chat.add_to(app)
    parts.worker.on_turn = chat.streams.look
    app.router.add_get("/health", _health(parts))
    app.cleanup_ctx.extend([_nlu(parts), _working(parts), _jobs(parts)])
    return app


def _web_chat(parts: Parts) -> WebChat:
    settings, house = parts.settings, parts.house
    office = house.office(settings.office)

    def words(reply: str) -> str:
        return house.replies.line(reply, office=office, day=local_day(parts.clock()))

    return WebChat(
        parts.store,
        office,
        words,
        parts.clock,
        words_days=settings.words_days,
        per_minute=settings.messages_per_minute,
        public_url=settings.public_url,
        behind_proxy=settings.behind_proxy,
        received=parts.worker.wake.set,
    )


Context = Callable[[web.Application], AsyncIterator[None]]


def _nlu(parts: Parts) -> Context:
    async def open_nlu(_app: web.Application) -> AsyncIterator[None]:
        async with parts.nlu:
            yield

    return open_nlu


def _working(parts: Parts) -> Context:
    async def work(_app: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_tireless(parts.worker)) for _ in range(_WORKERS)]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return work


async def _tireless(worker: Worker) -> None:
    """Works on after an unexpected error, with a short rest."""
    while True:
        try:
            await worker.run()
        except Exception as error:
            log.error("worker tripped: %s", type(error).__name__)  # noqa: TRY400 - no words in logs
        await asyncio.sleep(_TRIPPED_SECONDS)


def _jobs(parts: Parts) -> Context:
    async def keep_house() -> None:
        while True:
            try:
                await parts.store.run(_retention, parts.clock())
            except Exception as error:
                log.error("retention waits: %s", type(error).__name__)  # noqa: TRY400
            await asyncio.sleep(_JOBS_SECONDS)

    async def jobs(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(keep_house())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return jobs


def _retention(session: Session, now: datetime) -> None:
    if retention.due(session, now):
        wiped = retention.enforce(session, now)
        log.info("retention wiped %d rows", wiped)


def _health(parts: Parts) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def health(_request: web.Request) -> web.Response:
        try:
            await parts.store.run(outbox.newest)
            store = True
        except StoreUnavailable:
            store = False
        nlu = await parts.nlu.ready()
        return web.json_response({"store": store, "nlu": nlu}, status=200 if store else 503)

    return health
