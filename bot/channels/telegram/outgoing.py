"""A reply as Telegram messages: words, buttons, keyboards and files, within the limits."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
)

from bot.message import AskContactBlock, AskLocationBlock, Block, ChoicesBlock, FileBlock
from bot.plain import plain_text, split, utf16_length

Markup = InlineKeyboardMarkup | ReplyKeyboardMarkup | ReplyKeyboardRemove

_MOST_BUTTONS = 100
_LONGEST_LABEL = 64

Ask = AskLocationBlock | AskContactBlock


@dataclass(frozen=True)
class Part:
    """One message: words or a file of ours, with buttons (label, token) or with what is asked
    for by the keyboard below the chat."""

    text: str = ""
    file: FileBlock | None = None
    buttons: tuple[tuple[str, str], ...] = ()
    asks: tuple[Ask, ...] = ()

    @property
    def markup(self) -> Markup | None:
        """What Telegram shows with it.

        Nothing is remembered of an earlier keyboard: words without buttons take it away, and it
        folds by itself once it was used.
        """
        if self.buttons:
            return InlineKeyboardMarkup(
                [
                    [InlineKeyboardButton(label, callback_data=token)]
                    for label, token in self.buttons
                ]
            )
        if self.asks:
            keys = [[_key(ask)] for ask in self.asks]
            return ReplyKeyboardMarkup(keys, resize_keyboard=True, one_time_keyboard=True)
        return None if self.file else ReplyKeyboardRemove()


def parts_of(blocks: Sequence[Block], limit: int) -> list[Part]:
    """The messages that show a reply, in order.

    Buttons hang on the last message; where something is asked for as well, its keyboard needs a
    message of its own, because a message has room for one of the two.
    """
    asks = tuple(block for block in blocks if isinstance(block, Ask))
    buttons = tuple(_buttons(blocks))
    parts = list(_bodies(blocks, limit))
    if buttons and parts:
        parts[-1] = replace(parts[-1], buttons=buttons)
    if asks and (buttons or not parts):
        words = "\n\n".join(ask.words or ask.label for ask in asks)
        parts += [Part(text) for text in split(words, limit, utf16_length)]
    if asks:
        parts[-1] = replace(parts[-1], asks=asks)
    return parts


def _bodies(blocks: Iterable[Block], limit: int) -> Iterator[Part]:
    words: list[Block] = []
    for block in blocks:
        if isinstance(block, FileBlock):
            yield from _texts(words, limit)
            yield Part(file=block)
            words = []
        elif not isinstance(block, Ask):
            words.append(block)
    yield from _texts(words, limit)


def _texts(blocks: Iterable[Block], limit: int) -> Iterator[Part]:
    for text in split(plain_text(blocks), limit, utf16_length):
        yield Part(text)


def _buttons(blocks: Iterable[Block]) -> Iterator[tuple[str, str]]:
    choices = [c for block in blocks if isinstance(block, ChoicesBlock) for c in block.choices]
    for choice in choices[:_MOST_BUTTONS]:
        yield _label(choice.label), choice.token


def _label(words: str) -> str:
    label = unicodedata.normalize("NFC", words)
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1].rstrip()}…"


def _key(ask: Ask) -> KeyboardButton:
    label = _label(ask.label)
    if isinstance(ask, AskLocationBlock):
        return KeyboardButton(label, request_location=True)
    return KeyboardButton(label, request_contact=True)
