"""Understands lines of text: one JSON object a line, in order, one for each line."""

import argparse
import asyncio
import sys
from typing import Any

from actions.action import Found, Understanding
from actions.knowledge import Knowledge
from bot.commands.output import NotALine, procedure_json, read_texts, rule_json, write_line
from bot.gateway import build_house
from bot.nlu_process import some_nlu
from bot.settings import Settings, load_settings
from bot.understanding import Ear

_ABOUT_PROCEDURES = {"ask_procedure", "ask_about_complaint_procedure", "english", None}
_ABOUT_NONE = 0.15
"""Below this score the best topic is a guess about nothing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Lines come from standard input."""


def main(_args: argparse.Namespace) -> int:
    """Reads plain lines, or JSON lines with `text`."""
    return asyncio.run(_parse(load_settings()))


async def _parse(settings: Settings) -> int:
    house = build_house(settings)
    async with some_nlu(settings) as nlu:
        ear = Ear(nlu, house.finder, house.shorthand)
        for text in read_texts(sys.stdin):
            if isinstance(text, NotALine):
                write_line({"error": str(text)})
                continue
            write_line(as_json(await ear.understand(text), house.knowledge))
    return 0


def as_json(meant: Understanding, knowledge: Knowledge) -> dict[str, Any]:
    """What was understood, in the form that checks outside the project read."""
    procedures = meant.procedures if meant.intent in _ABOUT_PROCEDURES else ()
    situations = meant.situations if meant.intent == "ask_conduct" else ()
    procedure, situation = _best(procedures), _best(situations)
    return {
        "text": meant.text,
        "normalized": meant.normalized,
        "intent": meant.intent,
        "confidence": round(meant.confidence, 4),
        "facet": list(meant.facets) if meant.intent in _ABOUT_PROCEDURES else [],
        "procedure": procedure and procedure_json(knowledge, procedure.id, procedure.variant),
        "candidates": [
            {"id": found.id, "score": round(found.score, 4)} for found in procedures or situations
        ],
        "rule": situation and rule_json(knowledge, situation.id),
        "case_kind": meant.kind if meant.intent == "bring_case" else None,
        "entities": dict(meant.entities),
    }


def _best(found: tuple[Found, ...]) -> Found | None:
    return found[0] if found and found[0].score >= _ABOUT_NONE else None
