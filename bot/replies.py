"""Puts outcomes into words: `data/replies/vi/` has the words, the outcome has the facts."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    TracebackType,
)
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import RootModel

from actions.action import Choice, Says, Share
from actions.deadlines import VIETNAM
from actions.knowledge import BadData, Knowledge, Problem
from actions.knowledge.dated import Line, Strict
from actions.knowledge.reading import read_one
from bot.message import (
    AskContactBlock,
    AskLocationBlock,
    Block,
    ChoicesBlock,
    DetailsBlock,
    MoreBlock,
    OfferedChoice,
    TextBlock,
)

_INSIDE = (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    TracebackType,
)
"""Types whose attributes lead into the interpreter."""

Offer = Callable[[int, str, Choice], str]


class Folded(Strict):
    """A part of a reply that is opened on demand."""

    summary: Line
    text: Line


class Reply(Strict):
    """One reply of `data/replies/vi/`, as Jinja2 templates."""

    text: Line
    more: Folded | None = None
    details: Folded | None = None


class _File(RootModel[dict[str, Reply | str]]):
    pass


class _Sandbox(SandboxedEnvironment):
    """Jinja2's sandbox, which remembers what it found safe: that hangs on type and name alone."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002
        """Whether a template may read an attribute."""
        if isinstance(obj, type):
            return False
        return _is_safe(type(obj), attr)  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _is_safe(kind: type, attr: str) -> bool:
    return not attr.startswith("_") and not issubclass(kind, _INSIDE)


class Replies:
    """All replies, compiled once; every name that a template uses must be given."""

    def __init__(self, folder: Path, knowledge: Knowledge) -> None:
        self._jinja = _Sandbox(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
        )
        self._jinja.filters.update(money=_money, day=_day, moment=_moment)
        self._jinja.globals.update(
            word=self._part,
            law=knowledge.law,
            words_for=knowledge.words_for,
            offices=knowledge.files.offices,
        )
        self.replies, self._compiled = _read(folder, self._jinja)
        self._constant: dict[str, str] = {}

    def line(self, reply: str, **facts: Any) -> str:
        """One reply's text, for labels and for parts of other replies; without facts of its own it
        never changes."""
        if facts:
            return self._render(self.replies[reply].text, facts)
        if reply not in self._constant:
            self._constant[reply] = self._render(self.replies[reply].text, {})
        return self._constant[reply]

    def word(self, said: Says, facts: Mapping[str, Any], offer: Offer) -> tuple[Block, ...]:
        """One reply as neutral blocks; `offer` keeps each choice and gives its token."""
        reply = self.replies[said.reply]
        known = {**facts, **said.facts}
        blocks: list[Block] = []
        if text := self._render(reply.text, known):
            blocks.append(TextBlock(text=text))
        if reply.more and (text := self._render(reply.more.text, known)):
            blocks.append(MoreBlock(summary=self._render(reply.more.summary, known), text=text))
        if reply.details and (text := self._render(reply.details.text, known)):
            summary = self._render(reply.details.summary, known)
            blocks.append(DetailsBlock(summary=summary, text=text))
        if said.share:
            blocks.append(self._share(said.share))
        if said.choices:
            blocks.append(self._choices(said.choices, offer))
        return tuple(blocks)

    def _share(self, share: Share) -> Block:
        if share is Share.LOCATION:
            return AskLocationBlock(
                label=self.line("share_location"), words=self.line("share_location_words")
            )
        return AskContactBlock(
            label=self.line("share_contact"), words=self.line("share_contact_words")
        )

    def _choices(self, choices: Iterable[Choice], offer: Offer) -> ChoicesBlock:
        offered = []
        for number, choice in enumerate(choices, start=1):
            label = self.line(choice.label, **choice.facts)
            token = offer(number, label, choice)
            offered.append(OfferedChoice(number=number, label=label, token=token))
        return ChoicesBlock(choices=tuple(offered))

    def _part(self, reply: str, **facts: Any) -> str:
        """A reply within another, which is trimmed as a whole."""
        if facts:
            return self._compiled[self.replies[reply].text].render(facts).strip()
        return self.line(reply)

    def _render(self, template: str, facts: Mapping[str, Any]) -> str:
        text = self._compiled[template].render(facts)
        text = re.sub(r"[ \t]+\n", "\n", text)
        return re.sub(r"\n{3,}", "\n\n", text).strip()


def _templates(reply: Reply) -> Iterable[str]:
    yield reply.text
    for folded in (reply.more, reply.details):
        if folded:
            yield folded.summary
            yield folded.text


def _read(
    folder: Path, jinja: SandboxedEnvironment
) -> tuple[dict[str, Reply], dict[str, Template]]:
    """Every reply by its id, and every template of theirs; raises BadData."""
    replies: dict[str, Reply] = {}
    compiled: dict[str, Template] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yml")):
        for name, content in read_one(path, _File).root.items():
            if name in replies:
                problems.append(Problem(path.name, name, "stands in two files: remove one"))
            replies[name] = Reply(text=content) if isinstance(content, str) else content
            for text in _templates(replies[name]):
                try:
                    compiled[text] = jinja.from_string(text)
                except TemplateSyntaxError as error:
                    problems.append(Problem(path.name, name, f"is no template: {error.message}"))
    if problems:
        raise BadData(problems)
    return replies, compiled


def _money(amount: int) -> str:
    return f"{amount:,}".replace(",", ".")


def _day(day: date) -> str:
    local = day.astimezone(VIETNAM) if isinstance(day, datetime) else day
    return f"{local:%d/%m/%Y}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(VIETNAM):%H:%M %d/%m/%Y}"
