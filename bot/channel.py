"""What a channel is: a file in `bot/channels/` that lets messages in and, where it can, replies
out."""

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from aiohttp import web

from bot import channels
from bot.message import Block
from bot.pace import Pace
from bot.reception import Reception

__all__ = [
    "Channel",
    "FileGone",
    "Messenger",
    "OutOfReach",
    "OutcomeUnknown",
    "Pace",
    "Part",
    "Recipient",
    "Refused",
    "TryLater",
    "channel_modules",
    "open_channels",
]


class TryLater(Exception):  # noqa: N818 - a fact, not a failure
    """The platform takes nothing now; what was sent has certainly not arrived.

    `after` is how long the platform asks to wait; `all_people` whether it asks so for the whole
    account rather than for one person.
    """

    def __init__(
        self, reason: str, *, after: timedelta | None = None, all_people: bool = False
    ) -> None:
        super().__init__(reason)
        self.after = after
        self.all_people = all_people


class Refused(Exception):  # noqa: N818 - a fact, not a failure
    """The platform will never take this: an operator has to look at it."""


class OutOfReach(Exception):  # noqa: N818 - a fact, not a failure
    """This person cannot be written to until they write again: blocked us, or a window is over."""


class OutcomeUnknown(Exception):  # noqa: N818 - a fact, not a failure
    """The request left and no answer came back: it may have arrived."""


class FileGone(Exception):  # noqa: N818 - a fact, not a failure
    """A citizen's file cannot be had, now or later: too large, too old, or not theirs to send."""


@dataclass(frozen=True)
class Recipient:
    """Who gets a part: the person as the channel knows them, and when they last gave a sign."""

    person: str
    heard_at: datetime | None


Part = Any
"""One call of a channel's platform, in the channel's own form."""


@runtime_checkable
class Channel(Protocol):
    """Lets messages in: routes, and what must run beside them."""

    name: str

    def add_to(self, app: web.Application) -> None:
        """Adds what this channel needs to the gateway's application."""
        ...


@runtime_checkable
class Messenger(Channel, Protocol):
    """A channel that couriers carry replies to."""

    account: str
    pace: Pace

    def parts(self, blocks: Sequence[Block]) -> list[Part]:
        """A reply as the calls that show it, in order, within the platform's limits."""
        ...

    async def deliver(self, to: Recipient, part: Part) -> None:
        """Makes one call; raises TryLater, Refused, OutOfReach or OutcomeUnknown."""
        ...

    async def fetch(self, reference: str) -> bytes:
        """The content of a citizen's file; raises TryLater or FileGone."""
        ...


def open_channels(reception: Reception) -> list[Channel]:
    """Every channel that is set up: one file in `bot/channels/` each, found by being there.

    A channel's module has `open_channel(reception)`, which gives None where its settings are empty.
    """
    opened = (module.open_channel(reception) for module in channel_modules())
    return [channel for channel in opened if channel is not None]


def channel_modules() -> Iterable[Any]:
    """The modules of all channels, by name."""
    found = sorted(module.name for module in pkgutil.iter_modules(channels.__path__))
    return [importlib.import_module(f"{channels.__name__}.{name}") for name in found]
