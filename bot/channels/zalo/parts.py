"""A reply as the messages that Zalo takes: section 3.6 of the reference."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bot.message import AskContactBlock, Block, ChoicesBlock, FileBlock, OfferedChoice
from bot.plain import plain_text, split, utf16_length
from bot.store.choices import typed_form

_MOST_BUTTONS = 5
_LONGEST_TITLE = 100
_LONGEST_SUBTITLE = 500


@dataclass(frozen=True)
class Words:
    """A text, with buttons under it where there are few enough choices."""

    text: str
    choices: tuple[OfferedChoice, ...] = ()


@dataclass(frozen=True)
class Picture:
    """An uploaded image in a message; a moving one needs its size."""

    attachment_id: str
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class AskPhone:
    """A card that asks for the account's own telephone number."""

    title: str
    subtitle: str
    words: str


Part = Words | FileBlock | AskPhone


def as_parts(blocks: Sequence[Block], *, limit: int, buttons: bool, cards: bool) -> list[Part]:
    """Blocks as messages, in order; neighbouring words go together."""
    parts: list[Part] = []
    for kind, run in groupby(blocks, lambda block: _kind(block, cards=cards)):
        match kind:
            case "file":
                parts += [block for block in run if isinstance(block, FileBlock)]
            case "card":
                parts += [_ask_phone(block) for block in run if isinstance(block, AskContactBlock)]
            case _:
                parts += _words(list(run), limit, buttons=buttons)
    return parts


def _kind(block: Block, *, cards: bool) -> str:
    if isinstance(block, FileBlock):
        return "file"
    return "card" if cards and isinstance(block, AskContactBlock) else "words"


def _ask_phone(block: AskContactBlock) -> AskPhone:
    return AskPhone(
        shortened(block.label, _LONGEST_TITLE),
        shortened(block.words, _LONGEST_SUBTITLE),
        block.words,
    )


def _words(blocks: list[Block], limit: int, *, buttons: bool) -> list[Part]:
    texts = split(plain_text(blocks), limit, utf16_length)
    if not texts:
        return []
    choices = _few_choices(blocks) if buttons else ()
    return [*(Words(text) for text in texts[:-1]), Words(texts[-1], choices)]


def _few_choices(blocks: Iterable[Block]) -> tuple[OfferedChoice, ...]:
    """The choices that fit on buttons: all of them or none."""
    found = [c for block in blocks if isinstance(block, ChoicesBlock) for c in block.choices]
    return tuple(found) if len(found) <= _MOST_BUTTONS else ()


def text_message(text: str) -> dict[str, Any]:
    """Plain words."""
    return {"text": text}


def button_message(text: str, choices: Iterable[OfferedChoice]) -> dict[str, Any]:
    """Words with buttons that say nothing but an opaque token, and say it unseen."""
    buttons = [
        {
            "title": shortened(choice.label, _LONGEST_TITLE),
            "type": "oa.query.hide",
            "payload": typed_form(choice.token),
        }
        for choice in choices
    ]
    return {"text": text, "attachment": {"type": "template", "payload": {"buttons": buttons}}}


def picture_message(picture: Picture) -> dict[str, Any]:
    """An uploaded image."""
    element: dict[str, Any] = {"media_type": "image", "attachment_id": picture.attachment_id}
    if picture.size is not None:
        width, height = picture.size
        element |= {"media_type": "gif", "width": width, "height": height}
    return _template("media", element)


def file_message(token: str) -> dict[str, Any]:
    """An uploaded document."""
    return {"attachment": {"type": "file", "payload": {"token": token}}}


def ask_phone_message(card: AskPhone, picture_url: str) -> dict[str, Any]:
    """The card that asks for personal data."""
    element = {"title": card.title, "subtitle": card.subtitle, "image_url": picture_url}
    return _template("request_user_info", element)


def shortened(text: str, most: int) -> str:
    """A text in at most so many UTF-16 units, with an ellipsis where it was cut."""
    parts = split(" ".join(text.split()), most, utf16_length) or [""]
    if len(parts) == 1:
        return parts[0]
    return split(text, most - 1, utf16_length)[0] + "…"


def _template(kind: str, element: dict[str, Any]) -> dict[str, Any]:
    payload = {"template_type": kind, "elements": [element]}
    return {"attachment": {"type": "template", "payload": payload}}


def gif_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a moving picture; None where it is none."""
    if len(content) < 10 or content[:6] not in {b"GIF87a", b"GIF89a"}:
        return None
    width, height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
    return (width, height) if width and height else None
