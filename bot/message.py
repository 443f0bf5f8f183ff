"""What comes in (`Message`) and what goes out (`Block`), the same for every channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


@dataclass(frozen=True)
class Sender:
    """Who wrote, as the channel knows them: the conversation they belong to."""

    channel: str
    account: str
    person: str


@dataclass(frozen=True)
class Message:
    """One thing a citizen sent: words, or the token of a choice with what was written on it."""

    sender: Sender
    external_id: str
    sent_at: datetime
    text: str = ""
    pressed: str | None = None
    label: str = ""


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextBlock(_Block):
    """Plain words; `## ` begins a heading, a blank line parts paragraphs, `- ` and `1. ` begin
    list items. Channels show the marks as they can."""

    type: Literal["text"] = "text"
    text: str


class DetailsBlock(_Block):
    """Small print that can be opened: sources, the day of the check."""

    type: Literal["details"] = "details"
    summary: str
    text: str


class MoreBlock(_Block):
    """What a long answer folds away after what was asked."""

    type: Literal["more"] = "more"
    summary: str
    text: str


class OfferedChoice(_Block):
    """A choice as the citizen sees it; the token says nothing by itself."""

    number: int
    label: str
    token: str


class ChoicesBlock(_Block):
    """Choices, as buttons where a channel has them and as numbers everywhere."""

    type: Literal["choices"] = "choices"
    choices: tuple[OfferedChoice, ...]


Block = Annotated[TextBlock | DetailsBlock | MoreBlock | ChoicesBlock, Field(discriminator="type")]
BLOCKS: TypeAdapter[tuple[Block, ...]] = TypeAdapter(tuple[Block, ...])


def unmarked(text: str) -> str:
    """A text for a channel without headings."""
    return "\n".join(line.removeprefix("## ") for line in text.split("\n"))
