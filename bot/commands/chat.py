"""The same conversation in this terminal: real nlu, a throw-away database, numbers for choices."""

import argparse
import asyncio
import itertools
import sys

from bot.commands.ask import as_words, throw_away
from bot.settings import Settings, load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes no arguments; type `/menu` for the menu, Ctrl-D to end."""


def main(_args: argparse.Namespace) -> int:
    """Chats until the input ends."""
    return asyncio.run(_chat(load_settings()))


async def _chat(settings: Settings) -> int:
    async with throw_away(settings, None) as room:
        for number in itertools.count():
            line = await asyncio.to_thread(_line)
            if line is None:
                return 0
            if line.strip():
                print(f"\n{as_words(await room.ask(line, 'terminal', str(number)))}\n", flush=True)
    return 0


def _line() -> str | None:
    """One line of the person's; None when there are no more."""
    if sys.stdin.isatty():
        print("> ", end="", flush=True)
    line = sys.stdin.readline()
    return line if line else None
