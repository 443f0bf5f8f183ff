"""Every message in every way of writing, put to the real nlu, the finder and the dialogue."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from actions.action import Asked, Memory, Understanding
from actions.cases import CaseCode
from actions.deadlines import local_day
from actions.find import Finder
from actions.knowledge.model import CatalogueEntry
from bot.gateway import build_house
from bot.nlu_process import some_nlu
from bot.settings import CHECKOUT, Settings
from bot.turn import House
from bot.understanding import Ear, Parse
from nlu.text import clean
from tests.evaluate.messages import WRITINGS, WRITTEN, Marked
from tests.evaluate.rows import Heard

NOW = datetime.fromisoformat("2026-11-24T09:00:00+07:00")
STRANGERS = CHECKOUT.parent / "shared" / "reference" / "procedures.jsonl"
"""The national portal's list, where it is there: names that nothing here is asked about."""

_KEEPING_PLACES = (WRITTEN, "no diacritics")
_AT_ONCE = 8


class NoCases:
    """A citizen who has never brought a case."""

    def by_code(self, code: CaseCode) -> None:
        """None has this code."""

    def latest_here(self) -> None:
        """There is none."""


@dataclass(frozen=True)
class Listener:
    """The product's way from a text to an outcome, with a finder that knows more names."""

    house: House
    finder: Finder
    strangers: int

    def heard(self, ear: Ear, marked: Marked, text: str, parse: Parse, writing: str) -> Heard:
        """What is understood of one text, and what is done with it."""
        meant = ear.joined(text, parse)
        spans = None
        if writing in _KEEPING_PLACES:
            spans = tuple((e.entity, e.start, e.end) for e in parse.entities)
        return Heard(marked, meant, self._outcome(text, meant), spans)

    def _outcome(self, text: str, meant: Understanding) -> str:
        office = next(iter(self.house.knowledge.files.offices.values()))
        asked = Asked(text, meant, Memory(), office, NOW, local_day(NOW))
        return self.house.dialogue.act(asked, NoCases()).result.value


def listener(settings: Settings) -> Listener:
    """The house as it is served, its finder also knowing every name of the portal's list."""
    house = build_house(settings)
    known = list(house.knowledge.topics())
    codes = {getattr(topic, "code", None) for topic in known}
    strangers = [entry for entry in _strangers(STRANGERS) if entry.code not in codes]
    return Listener(house, Finder([*known, *strangers]), len(strangers))


def _strangers(path: Path) -> list[CatalogueEntry]:
    if not path.is_file():
        return []
    lines = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return [
        CatalogueEntry(
            id="cat_" + line["code"].replace(".", "_"),
            kind="procedure",
            code=line["code"],
            name=" ".join(line["name"].split()),
        )
        for line in lines
    ]


async def hear(
    messages: Sequence[Marked],
    settings: Settings,
    ears: Listener,
    writings: Sequence[str] = tuple(WRITINGS),
) -> dict[str, list[Heard]]:
    """What is understood of all messages, by way of writing."""
    heard: dict[str, list[Heard]] = {}
    async with some_nlu(settings) as nlu:
        ear = Ear(nlu, ears.finder, ears.house.shorthand)
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(at: int, marked: Marked, writing: str) -> Heard:
            text = clean(marked.written(writing, at))
            async with places:
                parse = await nlu.parse(text)
            return ears.heard(ear, marked, text, parse, writing)

        for writing in writings:
            asking = (one(at, marked, writing) for at, marked in enumerate(messages))
            heard[writing] = list(await asyncio.gather(*asking))
    return heard


def peers(messages: Sequence[Marked], told: dict[str, list[str]]) -> dict[str, list[Heard]]:
    """The same rows for a peer that tells intents only."""
    return {
        writing: [
            Heard(marked, Understanding(marked.text, "", intent=intent), "")
            for marked, intent in zip(messages, intents, strict=True)
        ]
        for writing, intents in told.items()
    }
