"""Reads `data/knowledge/` strictly: whatever is wrong is named with file, field and mend."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel

from actions.knowledge.dated import Dated, Seen, When
from actions.knowledge.model import (
    CatalogueEntry,
    Fee,
    HolidayCorrection,
    Law,
    Office,
    Procedure,
    Review,
    Rule,
    Situation,
    TimeLimit,
)
from actions.knowledge.reading import BadData, Problem, Reader

M = TypeVar("M", bound=BaseModel)
Labels = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Files:
    """All that was read, before it is asked whether the files fit together."""

    laws: dict[str, Law]
    procedures: dict[str, Procedure]
    rules: dict[str, Rule]
    situations: dict[str, Situation]
    offices: dict[str, Office]
    catalogue: dict[str, CatalogueEntry]
    holidays: tuple[HolidayCorrection, ...]
    provinces: dict[str, str]
    reviews: tuple[Review, ...]
    when_labels: Labels
    packs: dict[str, str]
    hashes: dict[str, str]


class _Labels(RootModel[Labels]):
    pass


class _Provinces(RootModel[dict[str, str]]):
    pass


_KINDS: dict[str, type[Procedure | Rule | Situation]] = {
    "procedure": Procedure,
    "rule": Rule,
    "situation": Situation,
}


def read(root: Path) -> Files:
    """Every file of `data/knowledge/`, checked one by one and then against each other."""
    reader = Reader(root)
    laws = {m.id: m for m in _folder(reader, root / "law", Law)}
    offices = {m.id: m for m in _folder(reader, root / "offices", Office)}
    topics = list(_topics(reader, root))
    catalogue = reader.listed(root / "catalogue.yml", CatalogueEntry)
    files = Files(
        laws=laws,
        offices=offices,
        procedures={m.id: m for _, m in topics if isinstance(m, Procedure)},
        rules={m.id: m for _, m in topics if isinstance(m, Rule)},
        situations={m.id: m for _, m in topics if isinstance(m, Situation)},
        catalogue={m.id: m for m in catalogue},
        holidays=tuple(reader.listed(root / "holidays.yml", HolidayCorrection)),
        provinces=_mapping(reader, root / "provinces.yml", _Provinces),
        reviews=tuple(reader.listed(root / "reviews.yml", Review)),
        when_labels=_mapping(reader, root / "when.yml", _Labels),
        packs={m.id: path.parent.name for path, m in topics},
        hashes=_hashes(topics),
    )
    paths = {m.id: path for path, m in topics}
    for message in _twice(reader, topics, catalogue):
        reader.problems.append(message)
    for topic_id, path in paths.items():
        _fits_together(reader, path, topic_id, files)
    for i, review in enumerate(files.reviews):
        _check_review(reader, root / "reviews.yml", i, review, files)
    if reader.problems:
        raise BadData(reader.problems)
    return files


def _check_review(reader: Reader, path: Path, at: int, review: Review, files: Files) -> None:
    if review.id not in files.hashes:
        reader.note(path, f"[{at}].id", f"no file is called {review.id}.yml")
    if review.office not in files.offices:
        reader.note(path, f"[{at}].office", f"no office is called {review.office}")


def _hashes(topics: list[tuple[Path, Procedure | Rule | Situation]]) -> dict[str, str]:
    """A hash of each topic's file, together with the rules on which a situation rests."""
    content = {topic.id: path.read_bytes() for path, topic in topics}
    return {
        topic.id: hashlib.sha256(
            content[topic.id]
            + b"".join(content.get(rule, b"") for rule in getattr(topic, "rests_on", ()))
        ).hexdigest()
        for _, topic in topics
    }


def _folder(reader: Reader, folder: Path, kind: type[M]) -> Iterator[M]:
    for path in sorted(folder.glob("*.yml")):
        model = _one(reader, path, kind)
        if model is not None:
            yield model


def _one(reader: Reader, path: Path, kind: type[M]) -> M | None:
    content = reader.plain(path)
    if not isinstance(content, dict):
        reader.note(path, "", "must be a mapping")
        return None
    if content.get("id") != path.stem:
        reader.note(path, "id", f"must be the file's name: {path.stem}")
    return reader.model(path, kind, content)


def _topics(reader: Reader, root: Path) -> Iterator[tuple[Path, Procedure | Rule | Situation]]:
    for path in sorted(root.glob("*/**/*.yml")):
        if path.relative_to(root).parts[0] in {"law", "offices"}:
            continue
        content = reader.plain(path)
        if not isinstance(content, dict):
            reader.note(path, "", "must be a mapping")
            continue
        kind = _KINDS.get(str(content.get("kind", "procedure")))
        if kind is None:
            reader.note(path, "kind", f"must be one of: {', '.join(_KINDS)}")
            continue
        if content.get("id") != path.stem:
            reader.note(path, "id", f"must be the file's name: {path.stem}")
        model = reader.model(path, kind, content)
        if model is not None:
            yield path, model


def _mapping(reader: Reader, path: Path, kind: type[RootModel[Any]]) -> Any:
    if not path.exists():
        return {}
    model = reader.model(path, kind, reader.plain(path))
    return model.root if model is not None else {}


def _twice(
    reader: Reader,
    topics: list[tuple[Path, Procedure | Rule | Situation]],
    catalogue: list[CatalogueEntry],
) -> Iterator[Problem]:
    named = Counter(entry.id for entry in catalogue)
    for entry_id in (entry_id for entry_id, times in named.items() if times > 1):
        yield Problem(f"{reader.root.name}/catalogue.yml", entry_id, "stands twice: remove one")
    seen: dict[str, str] = {}
    for path, topic in topics:
        name = str(path.relative_to(reader.root.parent))
        if topic.id in seen:
            yield Problem(name, "id", f"is also used by {seen[topic.id]}: choose another")
        if topic.id in named:
            yield Problem(name, "id", "still stands in catalogue.yml: remove it there")
        seen[topic.id] = name


def _fits_together(reader: Reader, path: Path, topic_id: str, files: Files) -> None:
    topic = files.procedures.get(topic_id) or files.rules.get(topic_id)
    if topic is not None:
        for field, value in _dated(topic):
            _check_value(reader, path, field, value, files)
    situation = files.situations.get(topic_id)
    for i, rule in enumerate(situation.rests_on if situation else ()):
        if rule not in files.rules:
            reader.note(path, f"rests_on[{i}]", f"no rule file is called {rule}.yml")


def _check_value(reader: Reader, path: Path, field: str, value: Dated[Any], files: Files) -> None:
    for i, cite in enumerate(value.cites):
        law = files.laws.get(cite.law)
        if law is None:
            reader.note(path, f"{field}.cites[{i}].law", f"no file law/{cite.law}.yml: add it")
        elif law.in_force and value.from_ and value.from_ < law.in_force and len(value.cites) == 1:
            mend = f"{law.number} is in force only from {law.in_force}: the value cannot be older"
            reader.note(path, f"{field}.from", mend)
    if value.when.province and value.when.province not in files.provinces:
        reader.note(path, f"{field}.when.province", "is not in provinces.yml: add it or mend it")
    for name, chosen in value.when.conditions().items():
        if (
            name != "province"
            and value.label is None
            and _word(chosen) not in files.when_labels.get(name, {})
        ):
            reader.note(
                path, f"{field}.when.{name}", f"has no words in when.yml for {chosen}: add them"
            )
    if value.seen is Seen.NONE and isinstance(value.value, Fee | TimeLimit):
        reader.note(
            path,
            f"{field}.seen",
            "an amount or a time limit nobody saw must not ship: leave it out",
        )


def _word(chosen: str | bool) -> str:
    return str(chosen).lower() if isinstance(chosen, bool) else chosen


def _dated(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Dated[Any]]]:
    for name in type(model).model_fields:
        entries = getattr(model, name)
        if not isinstance(entries, tuple):
            continue
        for i, entry in enumerate(entries):
            if isinstance(entry, Dated):
                yield f"{prefix}{name}[{i}]", entry
            elif isinstance(entry, BaseModel):
                yield from _dated(entry, f"{prefix}{name}[{i}].")


def labelled(when: When, labels: Labels, provinces: dict[str, str]) -> str:
    """Some conditions in words: "quá hạn, Hải Phòng"."""
    words = [
        provinces[str(chosen)] if name == "province" else labels[name][_word(chosen)]
        for name, chosen in when.conditions().items()
    ]
    return ", ".join(words)


def review_of(files: Files, topic_id: str, day: date) -> Review | None:
    """The office's signature that still fits the file; any change of the file lifts it."""
    for review in files.reviews:
        if review.id == topic_id and review.hash == files.hashes[topic_id] and review.day <= day:
            return review
    return None
