"""What comes in (`Message`) and what goes out (`Block`), the same for every channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from actions.action import Attachment


@dataclass(frozen=True)
class Sender:
    """Who wrote, as the channel knows them: the conversation they belong to."""

    channel: str
    account: str
    person: str


@dataclass(frozen=True)
class Message:
    """One thing a citizen sent: words with what is attached, or the token of a choice with what was
    written on it.

    Parts of one `album` become one message; `opened` says that the citizen opened the conversation
    (a start button, following the account) without a word yet. `position` grows with what a person
    sends, on a platform whose messages may come in out of order.
    """

    sender: Sender
    external_id: str
    sent_at: datetime
    text: str = ""
    pressed: str | None = None
    label: str = ""
    attachments: tuple[Attachment, ...] = ()
    album: str | None = None
    opened: bool = False
    position: int = 0


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


class FileBlock(_Block):
    """An image or a document of ours, by its id in the store."""

    type: Literal["file"] = "file"
    file: int
    name: str
    media_type: str

    @property
    def is_image(self) -> bool:
        """Whether it can be shown in place."""
        return self.media_type.startswith("image/")


class AskLocationBlock(_Block):
    """Asks for a place: `label` for a button that shares it, `words` where there is none."""

    type: Literal["ask_location"] = "ask_location"
    label: str
    words: str


class AskContactBlock(_Block):
    """Asks for a telephone number: `label` for a button that shares it, `words` where there is
    none."""

    type: Literal["ask_contact"] = "ask_contact"
    label: str
    words: str


Block = Annotated[
    TextBlock
    | DetailsBlock
    | MoreBlock
    | ChoicesBlock
    | FileBlock
    | AskLocationBlock
    | AskContactBlock,
    Field(discriminator="type"),
]
BLOCKS: TypeAdapter[tuple[Block, ...]] = TypeAdapter(tuple[Block, ...])


def unmarked(text: str) -> str:
    """A text for a channel without headings."""
    return "\n".join(line.removeprefix("## ") for line in text.split("\n"))
