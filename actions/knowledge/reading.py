"""Reads data files strictly: whatever is wrong is named with file, field and mend."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """One mistake in a data file, in the words of whoever edits it."""

    file: str
    field: str
    mend: str

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.field}: {self.mend}" if self.field else f"{self.file}: {self.mend}"
        )


class BadData(Exception):  # noqa: N818 - a fact about the data
    """Data files that cannot be used, with everything that must be mended."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Reader:
    """Reads YAML 1.2 files under one root and remembers every problem instead of stopping."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self._yaml = YAML(typ="safe", pure=False)
        self._yaml.version = (1, 2)

    def note(self, path: Path, field: str, mend: str) -> None:
        """Remembers a problem."""
        self.problems.append(Problem(str(path.relative_to(self.root.parent)), field, mend))

    def plain(self, path: Path) -> Any | None:
        """What a file says as plain lists and mappings; None, with a problem, if it cannot be."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.note(path, "", f"cannot be read as UTF-8 text: {error}")
            return None
        if not unicodedata.is_normalized("NFC", text):
            self.note(path, "", "is not in Unicode NFC: save it composed (NFC)")
        try:
            return self._yaml.load(text)
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else "?"
            self.note(path, f"line {line}", f"is not YAML: {error.problem}")
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self.note(path, f"line {line}", "is not YAML: holds an invisible control character")
        except ValueError as error:
            self.note(path, _line_of_no_day(text), f"no calendar has this day: {error}")
        return None

    def model(self, path: Path, kind: type[M], content: Any, at: str = "") -> M | None:
        """The content as one of our models; None, with problems, if it does not fit."""
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            for detail in error.errors():
                self.note(path, (at + _field(detail)).rstrip("."), _mend(detail, kind))
            return None

    def listed(self, path: Path, kind: type[M]) -> list[M]:
        """A file that is a list of one model; a missing file is an empty list."""
        if not path.exists():
            return []
        content = self.plain(path)
        if not isinstance(content, list):
            self.note(path, "", "must be a list")
            return []
        read = (self.model(path, kind, item, f"[{i}].") for i, item in enumerate(content))
        return [item for item in read if item is not None]


def read_one(path: Path, kind: type[M]) -> M:
    """One file as one model; raises BadData."""
    reader = Reader(path.parent)
    content = reader.plain(path)
    model = None if reader.problems else reader.model(path, kind, content)
    if model is None or reader.problems:
        raise BadData(reader.problems)
    return model


def _line_of_no_day(text: str) -> str:
    """The first line with a day that does not exist, such as 2026-02-30."""
    for number, line in enumerate(text.splitlines(), start=1):
        for day in re.findall(r"\b\d{4}-\d{2}-\d{2}\b", line):
            try:
                date.fromisoformat(day)
            except ValueError:
                return f"line {number}"
    return ""


def _field(detail: ErrorDetails) -> str:
    field = ""
    for part in detail["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    return field.lstrip(".")


def _mend(detail: ErrorDetails, kind: type[BaseModel]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "no such key" + _known_keys(kind, detail)
        case "missing":
            return "is missing: add it"
        case (
            "date_from_datetime_parsing"
            | "date_from_datetime_inexact"
            | "date_parsing"
            | "date_type"
        ):
            return f"write a day as YYYY-MM-DD, not {detail['input']!r}"
        case "int_type":
            return f"write a whole number without dots or quotes, not {detail['input']!r}"
        case "string_type":
            return f"write it in quotes, as text: {detail['input']!r}"
        case _:
            return detail["msg"].removeprefix("Value error, ")


def _known_keys(kind: type[BaseModel], detail: ErrorDetails) -> str:
    if len(detail["loc"]) > 1:
        return ": remove it or mend its spelling"
    names = (field.alias or name for name, field in kind.model_fields.items())
    return ": the keys are " + ", ".join(names)
