"""The gateway: one aiohttp application that holds the channels, the workers and the jobs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from actions.deadlines import Calendar
from actions.find import Finder
from actions.knowledge import BadData, Knowledge, Problem
from bot.channel import Channel, Messenger, open_channels
from bot.clock import Clock
from bot.courier import Courier
from bot.dialogue import Dialogue, Intent, load_ears, load_intents
from bot.reception import Reception
from bot.replies import Replies
from bot.settings import BadSettings, Settings
from bot.shortcuts import Shortcut, load_shortcuts
from bot.store import Session, Store, StoreUnavailable, accounts, outbox, retention
from bot.turn import House
from bot.understanding import Ear, Nlu, load_shorthand
from bot.worker import Worker

log = logging.getLogger(__name__)

_JOBS_SECONDS = 60.0
_TRIPPED_SECONDS = 0.5


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
    shortcuts = load_shortcuts(settings.data / "shortcuts.yml")
    _check_intents(intents, shortcuts, replies)
    return House(
        knowledge,
        dialogue,
        replies,
        Finder(knowledge.topics()),
        load_shorthand(settings.data / "vocabulary" / "teencode.yml"),
        shortcuts,
        settings.words_days,
    )


def _check_intents(
    intents: Sequence[Intent], shortcuts: Iterable[Shortcut], replies: Replies
) -> None:
    problems = [
        Problem("intents.yml", intent.id, f"no reply is called {intent.reply}")
        for intent in intents
        if intent.reply and intent.reply not in replies.replies
    ]
    known = {None, *(intent.id for intent in intents)}
    problems += [
        Problem("shortcuts.yml", shortcut.word, f"no intent is called {shortcut.intent}")
        for shortcut in shortcuts
        if shortcut.intent not in known
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


def create_app(parts: Parts, channels: Iterable[Channel] | None = None) -> web.Application:
    """The application with its channels (those that are set up, where none are given); everything
    that it opens it also closes."""
    app = web.Application()
    reception = reception_of(parts)
    opened = list(open_channels(reception) if channels is None else channels)
    log.info("channels: %s", ", ".join(channel.name for channel in opened))
    couriers = [
        Courier(parts.store, channel, parts.clock)
        for channel in opened
        if isinstance(channel, Messenger)
    ]
    parts.worker.on_turn.extend(reception.on_turn)
    parts.worker.on_turn.extend(courier.turn_taken for courier in couriers)
    app.router.add_get("/health", _health(parts))
    app.cleanup_ctx.append(_nlu(parts))
    for channel in opened:
        channel.add_to(app)
    app.cleanup_ctx.append(_working(parts, couriers))
    app.cleanup_ctx.append(_jobs(parts))
    return app


def reception_of(parts: Parts) -> Reception:
    """What channels may ask of the house."""
    return Reception(parts.settings, parts.house, parts.store, parts.clock, parts.worker.wake.set)


Context = Callable[[web.Application], AsyncIterator[None]]


def _nlu(parts: Parts) -> Context:
    async def open_nlu(_app: web.Application) -> AsyncIterator[None]:
        async with parts.nlu:
            yield

    return open_nlu


def _working(parts: Parts, couriers: Sequence[Courier]) -> Context:
    async def work(_app: web.Application) -> AsyncIterator[None]:
        busy: list[Worker | Courier] = [parts.worker, *couriers]
        tasks = [asyncio.create_task(_tireless(one)) for one in busy]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return work


async def _tireless(at_work: Worker | Courier) -> None:
    """Works on after an unexpected error, with a short rest."""
    while True:
        try:
            await at_work.run()
        except Exception as error:
            who = type(at_work).__name__.lower()
            log.error("%s tripped: %s", who, type(error).__name__)  # noqa: TRY400 - no words in logs
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
        wiped, dropped = retention.enforce(session, now), outbox.drop_stale(session, now)
        log.info("retention wiped %d rows, dropped %d old replies", wiped, dropped)


def _health(parts: Parts) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def health(_request: web.Request) -> web.Response:
        store, trouble = True, []
        try:
            trouble = await parts.store.run(accounts.troubled)
        except StoreUnavailable:
            store = False
        up = {"store": store, "nlu": await parts.nlu.ready(), "trouble": trouble}
        return web.json_response(up, status=200 if store else 503)

    return health
