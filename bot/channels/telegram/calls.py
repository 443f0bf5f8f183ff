"""Calls of the Bot API, and what their refusals mean."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
from telegram import Bot, LinkPreviewOptions
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest
from telegram.warnings import PTBDeprecationWarning, PTBUserWarning

from bot.channel import FileGone, OutcomeUnknown, OutOfReach, Refused, TryLater
from bot.channels.telegram.incoming import ALLOWED
from bot.channels.telegram.outgoing import Markup
from bot.channels.telegram.settings import TelegramSettings
from bot.store.files import StoredFile

_CONNECTIONS = 32
_MOST_UPDATES = 100
_MEGABYTE = 2**20
_LARGEST_PHOTO = 10 * _MEGABYTE
_LARGEST_UPLOAD = 50 * _MEGABYTE

_UNREACHABLE_WAIT = timedelta(seconds=15)
_TOKEN_WAIT = timedelta(minutes=1)

_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.LocalProtocolError,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class Calls:
    """The calls that the channel makes; what Telegram refuses is raised as the courier knows it."""

    def __init__(self, settings: TelegramSettings) -> None:
        _keep_libraries_silent()
        self._timeout, self._poll_seconds = settings.timeout, settings.poll_seconds
        self._largest = settings.file_megabytes * _MEGABYTE
        self._requests = [_request(settings, size) for size in (1, _CONNECTIONS)]
        polling, calling = self._requests
        self._files = httpx.AsyncClient(timeout=settings.timeout)
        self.bot = Bot(
            settings.token.get_secret_value(),
            base_url=settings.api_url,
            base_file_url=settings.file_url,
            request=calling,
            get_updates_request=polling,
        )

    async def close(self) -> None:
        """Closes every connection."""
        for request in self._requests:
            await request.shutdown()
        await self._files.aclose()

    async def updates(self, offset: int | None) -> list[dict[str, Any]]:
        """What happened since, as it came; those before `offset` are told to have been taken."""
        asked = {
            "timeout": self._poll_seconds,
            "limit": _MOST_UPDATES,
            "allowed_updates": ALLOWED,
            **({} if offset is None else {"offset": offset}),
        }
        wait = self._timeout + self._poll_seconds
        found: list[dict[str, Any]] = await self.bot.do_api_request(
            "getUpdates", api_kwargs=asked, read_timeout=wait
        )
        return found

    async def send_text(self, chat: int, text: str, markup: Markup | None) -> None:
        """Sends words as they are, without a preview of what they link to."""
        with _understood():
            await self.bot.send_message(
                chat,
                text,
                reply_markup=markup,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )

    async def send_file(self, chat: int, file: StoredFile, markup: Markup | None) -> None:
        """Shows an image in place where Telegram can, and gives any other file to be opened."""
        if len(file.content) > _LARGEST_UPLOAD:
            raise Refused("the file is larger than Telegram takes")
        with _understood():
            if not await self._shown(chat, file, markup):
                await self.bot.send_document(
                    chat, file.content, filename=file.name, reply_markup=markup
                )

    async def _shown(self, chat: int, file: StoredFile, markup: Markup | None) -> bool:
        """Whether a file could be shown as a picture: not every image is one to Telegram."""
        if not file.media_type.startswith("image/") or len(file.content) > _LARGEST_PHOTO:
            return False
        try:
            await self.bot.send_photo(chat, file.content, filename=file.name, reply_markup=markup)
        except BadRequest as error:
            if _nobody_there(error) or _is_a_page(error):
                raise
            return False
        return True

    async def fetch(self, reference: str) -> bytes:
        """The content of a citizen's file; raises TryLater or FileGone."""
        try:
            file = await self.bot.get_file(reference)
        except TelegramError as error:
            if isinstance(error, BadRequest | Forbidden) and not _is_a_page(error):
                raise FileGone(error.message) from None
            after = _wait_of(error) if isinstance(error, RetryAfter) else None
            raise TryLater("getFile was not answered", after=after) from None
        if not file.file_path or (file.file_size or 0) > self._largest:
            raise FileGone("the file is too large")
        try:
            return await self._download(file.file_path)
        except httpx.HTTPError as error:
            raise TryLater(f"the download broke off: {type(error).__name__}") from None

    async def _download(self, url: str) -> bytes:
        content = bytearray()
        async with self._files.stream("GET", url) as answer:
            if answer.status_code in {400, 403, 404, 410}:
                raise FileGone(f"the download was refused: {answer.status_code}")
            if answer.status_code != httpx.codes.OK:
                raise TryLater(f"the download was answered {answer.status_code}")
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > self._largest:
                    raise FileGone("the file is too large")
        return bytes(content)


BOT_UNKNOWN = "Telegram does not know the token: look at MOTCUA_TELEGRAM_TOKEN"


class TokenRefused(TryLater):
    """Telegram does not know our token: an operator has to look at it."""


def meaning(error: TelegramError) -> Exception:
    """What a refusal means; its words are told only where Telegram itself wrote them."""
    if isinstance(error, RetryAfter):
        return TryLater("told to wait", after=_wait_of(error), all_people=True)
    if _is_a_page(error):
        return TryLater("answered by something that is not the Bot API")
    match error:
        case Forbidden():
            return OutOfReach(error.message)
        case InvalidToken():
            return TokenRefused(BOT_UNKNOWN, after=_TOKEN_WAIT, all_people=True)
        case ChatMigrated():
            return Refused("the chat has become another one")
        case BadRequest():
            return OutOfReach(error.message) if _nobody_there(error) else Refused(error.message)
        case NetworkError(__cause__=httpx.HTTPError() as cause):
            return _broken(cause)
        case NetworkError(__cause__=Exception() as cause):
            return OutcomeUnknown(type(cause).__name__)
    return TryLater(type(error).__name__)


def _wait_of(error: RetryAfter) -> timedelta:
    """How long Telegram asks to wait."""
    after = error.retry_after
    return after if isinstance(after, timedelta) else timedelta(seconds=after)


def _broken(cause: httpx.HTTPError) -> Exception:
    """A connection that never opened holds back everybody; one that broke may have brought it."""
    name = type(cause).__name__
    if isinstance(cause, _NEVER_LEFT):
        return TryLater(name, after=_UNREACHABLE_WAIT, all_people=True)
    return OutcomeUnknown(name)


def _is_a_page(error: BaseException | None) -> bool:
    """Whether the answer was no JSON: a page of a proxy, which did not take the call."""
    while error is not None:
        if type(error) is TelegramError:
            return True
        error = error.__cause__
    return False


def _nobody_there(error: TelegramError) -> bool:
    return "chat not found" in error.message.lower()


@contextmanager
def _understood() -> Iterator[None]:
    """Raises what a refusal means; the chain is cut, because libraries quote addresses in it."""
    try:
        yield
    except TelegramError as error:
        raise meaning(error) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OutcomeUnknown(f"the answer is of another form: {type(error).__name__}") from None


def _request(settings: TelegramSettings, connections: int) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=connections,
        connect_timeout=settings.timeout,
        read_timeout=settings.timeout,
        write_timeout=settings.timeout,
        pool_timeout=settings.timeout,
    )


def _keep_libraries_silent() -> None:
    """The token stands in every address, and people's words in every answer: neither is logged."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
    # Spans of time are taken as numbers or as spans; updates are fetched as they came, so that one
    # that cannot be read does not hold up the rest.
    warnings.filterwarnings("ignore", "Deprecated since version v22.2", PTBDeprecationWarning)
    warnings.filterwarnings("ignore", "Please use 'Bot.getUpdates'", PTBUserWarning)
