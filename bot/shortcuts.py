"""Shortcuts: words that do what a menu entry does, typed with `/` or `#` on any channel.

Messengers show them as a command list or a menu (`data/shortcuts.yml`).
"""

from pathlib import Path

from pydantic import Field, RootModel

from actions.action import Command, Press
from actions.knowledge.dated import Line, Strict
from actions.knowledge.reading import read_one
from nlu.text import fold


class Shortcut(Strict):
    """One entry: the word, what a menu says beside it, and what it does."""

    word: str = Field(pattern="^[a-z0-9]{2,32}$")
    label: Line
    command: Command
    intent: Line | None = None

    @property
    def press(self) -> Press:
        """What the entry means, like a pressed choice."""
        return Press(self.command, self.intent)

    def is_typed(self, text: str) -> bool:
        """Whether a text is this shortcut, in any case and with or without diacritics."""
        typed = text.strip()
        return typed[:1] in {"/", "#"} and fold(typed[1:]).replace(" ", "") == self.word


class _Shortcuts(RootModel[tuple[Shortcut, ...]]):
    pass


def load_shortcuts(path: Path) -> tuple[Shortcut, ...]:
    """The entries of `data/shortcuts.yml`; raises BadData."""
    return read_one(path, _Shortcuts).root
