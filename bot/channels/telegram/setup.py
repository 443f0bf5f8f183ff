"""Connects the bot with this installation, and parts them again."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from telegram import Bot, BotCommand
from telegram.error import BadRequest, TelegramError

from bot.channels.telegram.calls import Calls, TokenRefused, meaning
from bot.channels.telegram.incoming import ALLOWED
from bot.channels.telegram.settings import TelegramSettings
from bot.plain import split, utf16_length
from bot.shortcuts import Shortcut

_DESCRIPTION, _SHORT_DESCRIPTION = 512, 120

Words = Callable[[str], str]
Say = Callable[[str], None]


class CannotConnect(Exception):  # noqa: N818 - a fact, not a failure
    """Telegram refused a step, or could not be reached; says which and what to do."""


async def connect(
    settings: TelegramSettings,
    public_url: str,
    shortcuts: Sequence[Shortcut],
    words: Words,
    say: Say,
) -> None:
    """Tells Telegram where messages go and what citizens see; raises CannotConnect, BadSettings."""
    address = settings.webhook(public_url)
    async with _bot(settings, say) as bot:
        with _step("setting the command menu"):
            await bot.set_my_commands([BotCommand(s.word, s.label) for s in shortcuts])
        say(f"command menu: {', '.join(f'/{s.word}' for s in shortcuts)}")
        with _step("setting the description"):
            await bot.set_my_description(_short(words("telegram_description"), _DESCRIPTION))
            about = _short(words("telegram_short_description"), _SHORT_DESCRIPTION)
            await bot.set_my_short_description(about)
        say("description: set")
        if address is None:
            await _fetch_instead(bot, settings, say)
        else:
            await _hook(bot, settings, address, say)


async def disconnect(settings: TelegramSettings, say: Say) -> None:
    """Stops Telegram from bringing messages; raises CannotConnect."""
    async with _bot(settings, say) as bot:
        with _step("removing the webhook"):
            await bot.delete_webhook()
    say("webhook: removed; Telegram keeps what citizens write for 24 hours")
    say("next: empty MOTCUA_TELEGRAM_TOKEN and start the gateway again, or it fetches messages")


async def _hook(bot: Bot, settings: TelegramSettings, address: str, say: Say) -> None:
    with _step("setting the webhook"):
        await bot.set_webhook(
            address, secret_token=settings.secret.get_secret_value(), allowed_updates=ALLOWED
        )
    say(f"webhook: {address}")
    say("next: start the gateway (again), then write to the bot")


async def _fetch_instead(bot: Bot, settings: TelegramSettings, say: Say) -> None:
    with _step("removing the webhook"):
        await bot.delete_webhook()
    if settings.secret.get_secret_value():
        say("MOTCUA_PUBLIC_URL is empty: there is no address for a webhook")
    say("webhook: none, the gateway fetches messages (long polling)")
    say("next: start the gateway (again), then write to the bot")


@asynccontextmanager
async def _bot(settings: TelegramSettings, say: Say) -> AsyncIterator[Bot]:
    calls = Calls(settings)
    try:
        with _step("asking who the bot is"):
            me = await calls.bot.get_me()
        say(f"bot: @{me.username} ({me.id})")
        yield calls.bot
    finally:
        await calls.close()


@contextmanager
def _step(doing: str) -> Iterator[None]:
    try:
        yield
    except TelegramError as error:
        raise CannotConnect(f"{doing}: {_why(error)}") from None


def _why(error: TelegramError) -> str:
    """The reason in words for an operator; an address, which holds the token, is never quoted."""
    meant = meaning(error)
    if isinstance(meant, TokenRefused):
        return (
            "Telegram does not know this token; copy it again from @BotFather into "
            "MOTCUA_TELEGRAM_TOKEN"
        )
    if isinstance(error, BadRequest):
        return f"Telegram refused it: {meant}"
    return f"Telegram could not be reached or did not answer ({meant}); try again later"


def _short(text: str, limit: int) -> str:
    return split(text, limit, utf16_length)[0]
