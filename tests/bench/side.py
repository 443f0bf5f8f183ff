"""What is measured on either side: a conversation that is told lines, and texts that are parsed."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tests.bench.processes import Child


class Conversation(Protocol):
    """One citizen's conversation."""

    async def say(self, line: str) -> None:
        """A whole turn: the message goes in, and the last of its replies has come out."""
        ...


class Side(Protocol):
    """An assistant that runs: ours or the peer."""

    name: str
    children: Sequence[Child]

    def conversation(self) -> AbstractAsyncContextManager[Conversation]:
        """A new conversation of somebody who never wrote before."""
        ...

    async def parse(self, text: str) -> None:
        """What the side's `/model/parse` makes of a text."""
        ...
