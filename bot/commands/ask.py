"""Runs whole turns in a throw-away conversation and prints the replies."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from actions.action import Basis
from actions.cases import CaseCode
from actions.deadlines import VIETNAM, local_day
from actions.knowledge import Knowledge
from bot import desk
from bot.clock import Clock, system_clock
from bot.commands.output import NotALine, procedure_json, read_texts, rule_json, write_line
from bot.gateway import build_house
from bot.message import Block, ChoicesBlock, Message, Sender
from bot.nlu_process import some_nlu
from bot.plain import plain_text
from bot.settings import Settings, load_settings
from bot.store import Session, Store, conversations, inbox, outbox
from bot.store.keys import KeyRing
from bot.store.outbox import Outgoing
from bot.turn import House, Turn
from bot.understanding import Ear
from bot.worker import Worker

CHANNEL = "ask"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One question, or many from standard input."""
    parser.add_argument("text", nargs="?", help="the question")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON object")
    how.add_argument("--jsonl", action="store_true", help="read lines, a new conversation each")
    how.add_argument(
        "--dialogue", action="store_true", help="read one JSON list of turns of one conversation"
    )
    parser.add_argument("--day", type=date.fromisoformat, help="the day, as 2026-11-24")


def main(args: argparse.Namespace) -> int:
    """Answers with a database that is thrown away."""
    if not (args.jsonl or args.dialogue) and args.text is None:
        print('give a question: motcua ask "câu hỏi"', file=sys.stderr)
        return 2
    try:
        return asyncio.run(_ask(args, load_settings()))
    except NotALine as error:
        print(error, file=sys.stderr)
        return 2


async def _ask(args: argparse.Namespace, settings: Settings) -> int:
    async with throw_away(settings, args.day) as room:
        if args.dialogue:
            for number, text in enumerate(_turns(sys.stdin.read())):
                write_line(await room.ask_json(text, "one", str(number)))
        elif args.jsonl:
            for number, line in enumerate(read_texts(sys.stdin)):
                if isinstance(line, NotALine):
                    write_line({"error": str(line), "outcome": "failed"})
                    continue
                write_line(await room.ask_json(line, str(number), "0"))
        elif args.json:
            write_line(await room.ask_json(args.text, "one", "0"))
        else:
            print(as_words(await room.ask(args.text, "one", "0")))
    return 0


def _turns(given: str) -> list[str]:
    """The turns of a dialogue; raises NotALine for anything but a JSON list of texts."""
    try:
        turns = json.loads(given)
    except ValueError as error:
        raise NotALine(f"the dialogue is no JSON: {error}") from error
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        raise NotALine("the dialogue must be a JSON list of texts")
    return turns


class Room:
    """A real store, worker and nlu, used by nobody else."""

    def __init__(self, settings: Settings, house: House, store: Store, worker: Worker) -> None:
        self._settings = settings
        self._house = house
        self._store = store
        self._worker = worker
        self.now = system_clock

    async def ask(self, text: str, person: str, message_id: str) -> Turn | None:
        """One turn; None when it failed."""
        now = self.now()
        message = Message(_sender(person), f"{person}:{message_id}", now, text)
        until = self._house.words_until(now)
        await self._store.run(inbox.keep, message, self._settings.office, now, until)
        taken = await self._worker.run_once()
        if not taken:
            await self._store.run(_give_up, _sender(person))
        return taken[0] if taken else None

    async def officer_answers(self, code: CaseCode, text: str, person: str) -> list[str]:
        """An officer answers a case; gives what the citizen gets, in words."""
        now = self.now()
        before = await self._store.run(outbox.newest)
        await self._store.run(desk.answer, self._house, code, text, "demo", now)
        notices = await self._store.run(_notices, _sender(person), before)
        return [plain_text(notice.blocks) for notice in notices]

    async def ask_json(self, text: str, person: str, message_id: str) -> dict[str, Any]:
        """One turn in the form that checks outside the project read."""
        turn = await self.ask(text, person, message_id)
        day = local_day(self.now())
        if turn is None:
            return {"text": text, "outcome": "failed", "replies": [], "day": f"{day}"}
        return turn_json(text, turn, self._house.knowledge, day)


@asynccontextmanager
async def throw_away(settings: Settings, day: date | None) -> AsyncIterator[Room]:
    """A room with a database in a temporary folder, on that day where one is given."""
    house = build_house(settings)
    with tempfile.TemporaryDirectory(prefix="motcua-") as folder:
        url = f"sqlite:///{Path(folder) / 'ask.db'}"
        store = Store(url, KeyRing.fresh(), durable=False)
        store.migrate()
        async with some_nlu(settings) as nlu:
            clock = _clock(day)
            ear = Ear(nlu, house.finder, house.shorthand)
            room = Room(settings, house, store, Worker(store, ear, house, clock))
            room.now = clock
            yield room
        store.close()


def _sender(person: str) -> Sender:
    return Sender(CHANNEL, CHANNEL, person)


def _give_up(session: Session, sender: Sender) -> None:
    """A failed turn must not be taken again in the place of the next line's."""
    conversation = conversations.find(session, sender)
    if conversation is not None:
        inbox.give_up_all(session, conversation.id, "failed")


def _notices(session: Session, sender: Sender, after: int) -> list[Outgoing]:
    conversation = conversations.find(session, sender)
    return outbox.after(session, conversation.id, after) if conversation else []


def turn_json(text: str, turn: Turn, knowledge: Knowledge, day: date) -> dict[str, Any]:
    """A turn as one JSON object (architecture, command contracts)."""
    outcome, meant = turn.outcome, turn.understanding
    return {
        "text": text,
        "intent": meant.intent,
        "facet": list(outcome.facets),
        "procedure": procedure_json(knowledge, outcome.procedure, outcome.variant),
        "rule": rule_json(knowledge, outcome.rule),
        "conclusion": outcome.conclusion,
        "case_kind": outcome.case_kind,
        "outcome": outcome.result,
        "replies": [_reply(blocks) for blocks in turn.said],
        "cites": _cites(outcome.basis, knowledge),
        "day": f"{day}",
    }


def _reply(blocks: Iterable[Block]) -> dict[str, Any]:
    return {
        "text": plain_text(block for block in blocks if not isinstance(block, ChoicesBlock)),
        "choices": [
            choice.label
            for block in blocks
            if isinstance(block, ChoicesBlock)
            for choice in block.choices
        ],
    }


def as_words(turn: Turn | None) -> str:
    """A turn's replies as plain words, choices as numbers."""
    if turn is None:
        return "the turn failed: see the log above"
    return "\n\n".join(map(plain_text, turn.said))


def _cites(basis: Basis | None, knowledge: Knowledge) -> list[dict[str, Any]]:
    if basis is None:
        return []
    laws = [{"number": knowledge.law(cite.law).number, **cite.model_dump()} for cite in basis.cites]
    sources = [
        {"source": source.title or source.record, "read_on": f"{source.read_on}"}
        for source in basis.sources
    ]
    return laws + sources


def _clock(day: date | None) -> Clock:
    if day is None:
        return system_clock
    moment = datetime.combine(day, time(10), VIETNAM)
    return lambda: moment
