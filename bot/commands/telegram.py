"""Connects a Telegram bot with this installation, or parts them again."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from actions.deadlines import local_day
from bot.channels.telegram import TelegramSettings, load_telegram_settings
from bot.channels.telegram.setup import CannotConnect, connect, disconnect
from bot.clock import system_clock
from bot.gateway import build_house
from bot.settings import BadSettings, Settings, load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One of: connect, disconnect."""
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("connect", help="sets webhook or long polling, command menu and description")
    what.add_parser("disconnect", help="removes the webhook")


def main(args: argparse.Namespace) -> int:
    """Tells each step as it is done; 1 when Telegram refused one."""
    settings = load_telegram_settings()
    if settings is None:
        raise BadSettings("MOTCUA_TELEGRAM_TOKEN: is empty; get a token from @BotFather")
    work = _connect(settings, load_settings()) if args.what == "connect" else _part(settings)
    try:
        asyncio.run(work)
    except CannotConnect as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _connect(settings: TelegramSettings, ours: Settings) -> Coroutine[Any, Any, None]:
    house = build_house(ours)
    office, day = house.office(ours.office), local_day(system_clock())

    def words(reply: str) -> str:
        return house.replies.line(reply, office=office, day=day)

    return connect(settings, ours.public_url, house.shortcuts, words, print)


def _part(settings: TelegramSettings) -> Coroutine[Any, Any, None]:
    return disconnect(settings, print)
