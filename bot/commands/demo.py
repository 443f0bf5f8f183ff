"""Prints real conversations through the real stack: nlu, turns, SQLite, and an officer's answer."""

import argparse
import asyncio
import sys
from collections.abc import Iterator

from pydantic import RootModel

from actions.action import CaseTaken
from actions.cases import CaseCode
from actions.knowledge.dated import Line, Strict
from actions.knowledge.reading import read_one
from bot.commands.ask import Room, as_words, throw_away
from bot.settings import Settings, load_settings
from bot.turn import Turn


class Officer(Strict):
    """What an officer answers to the case that was just taken."""

    officer: Line


class Scene(Strict):
    """One conversation of the demonstration."""

    title: Line
    turns: tuple[Line | Officer, ...]


class _Scenes(RootModel[tuple[Scene, ...]]):
    pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes no arguments."""


def main(_args: argparse.Namespace) -> int:
    """Plays `data/demo.yml`; 1 when a turn failed."""
    return asyncio.run(_demo(load_settings()))


def load_scenes(settings: Settings) -> tuple[Scene, ...]:
    """The scenes of `data/demo.yml`; raises BadData."""
    return read_one(settings.data / "demo.yml", _Scenes).root


async def _demo(settings: Settings) -> int:
    async with throw_away(settings, None) as room:
        for scene in load_scenes(settings):
            print(f"\n=== {scene.title} ===")
            if not await _play(room, scene):
                return 1
    return 0


async def _play(room: Room, scene: Scene) -> bool:
    code: CaseCode | None = None
    for number, line in enumerate(scene.turns):
        if isinstance(line, Officer):
            if code is None:
                print("no case was taken, so no officer can answer", file=sys.stderr)
                return False
            print(f"\n[cán bộ] {line.officer}")
            for words in await room.officer_answers(code, line.officer, scene.title):
                print(f"\n[trợ lý] {words}")
            continue
        text = line.replace("{code}", str(code))
        print(f"\n[người dân] {text}")
        turn = await room.ask(text, scene.title, str(number))
        print(f"\n[trợ lý] {as_words(turn)}")
        if turn is None:
            return False
        code = next(_codes(turn), code)
    return True


def _codes(turn: Turn) -> Iterator[CaseCode]:
    for event in turn.outcome.events:
        if isinstance(event, CaseTaken):
            yield event.code
