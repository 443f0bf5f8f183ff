"""The sentences that training reads: sentence files and the `asked_as` of knowledge files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nlu.text import Shorthand, normalize

FACETS = (
    "overview",
    "documents",
    "fee",
    "time_limit",
    "place",
    "online",
    "who",
    "steps",
    "conditions",
    "result",
    "legal_basis",
    "form_file",
)
KINDS = ("feedback", "proposal", "complaint", "denunciation")
TOPIC_KIND = {
    "ask_procedure": "procedure",
    "ask_about_complaint_procedure": "procedure",
    "ask_conduct": "situation",
}
"""Intents that are about a topic, with what such a topic is."""


class BadData(Exception):  # noqa: N818 - a fact, not a failure
    """A data file that training cannot read as it stands; says which file and key."""


@dataclass(frozen=True)
class Sentence:
    """Something a person may say, and what they mean by it."""

    text: str
    intent: str
    topic: str | None = None
    facets: tuple[str, ...] = ()
    kind: str | None = None
    variants: tuple[str, ...] = ()
    """The same as hurried people type it; made for training, never written down."""


def read_sentences(data: Path) -> list[Sentence]:
    """All sentences of the sentence files, then those of the knowledge files."""
    sentences = [
        sentence
        for path in sorted((data / "sentences").rglob("*.yml"))
        for sentence in _of_sentence_file(path)
    ]
    for path in knowledge_files(data):
        for topic, asked in asked_as(read_yaml(path)).items():
            intent = "ask_procedure" if isinstance(asked, dict) else "ask_conduct"
            sentences.extend(_asked(f"{path}: asked_as of {topic}", intent, topic, asked))
    if not sentences:
        raise BadData(f"{data / 'sentences'}: no sentences to train on")
    return sentences


def knowledge_files(data: Path) -> list[Path]:
    """The knowledge files that have sentences of their own, in a fixed order."""
    return [
        path
        for path in sorted((data / "knowledge").rglob("*.yml"))
        if b"asked_as" in path.read_bytes()
    ]


def asked_as(content: object) -> dict[str, object]:
    """The parts of a knowledge file that train, by topic: its own and those of its variants."""
    if not isinstance(content, dict) or "id" not in content:
        return {}
    topic = str(content["id"])
    found = {topic: content["asked_as"]} if "asked_as" in content else {}
    for variant in content.get("variants") or []:
        if isinstance(variant, dict) and "asked_as" in variant:
            found[f"{topic}/{variant.get('id')}"] = variant["asked_as"]
    return found


def read_shorthand(path: Path) -> Shorthand:
    """Teencode and abbreviations from their file, checked so that normalising twice is once."""
    table = read_yaml(path)
    if not isinstance(table, dict):
        raise BadData(f"{path}: must list one `short: long` a line")
    for short, long in table.items():
        if not isinstance(short, str) or not isinstance(long, str):
            raise BadData(f"{path}: {short!r} must stand for a text in quotes")
        if not short.isalnum() or normalize(short, {short: short}) != short:
            raise BadData(f"{path}: {short!r} must be one word, in lower case")
        if short == long:
            continue
        if normalize(long) != long or any(word in table for word in long.split()):
            raise BadData(f"{path}: {short!r} stands for {long!r}, which is itself written short")
    return {str(short): str(long) for short, long in table.items()}


def read_yaml(path: Path) -> object:
    """The content of a YAML 1.2 file."""
    try:
        return YAML(typ="safe", pure=True).load(path)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise BadData(f"{path}: {error}") from error


def _of_sentence_file(path: Path) -> Iterator[Sentence]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise BadData(f"{path}: must be a mapping with `intent` and `examples` or `topics`")
    unknown = set(content) - {"intent", "examples", "topics"}
    if unknown:
        raise BadData(f"{path}: unknown key {sorted(map(str, unknown))[0]!r}")
    if content.get("intent") != path.stem:
        raise BadData(f"{path}: intent must be {path.stem!r}, the name of the file")
    yield from _examples(path, path.stem, content.get("examples"))
    topics = content.get("topics")
    if topics is None:
        return
    if path.stem not in TOPIC_KIND or not isinstance(topics, dict):
        raise BadData(f"{path}: topics must be a mapping, in {', '.join(TOPIC_KIND)} only")
    for topic, asked in topics.items():
        yield from _asked(f"{path}: topics.{topic}", path.stem, str(topic), asked)


def _examples(path: Path, intent: str, examples: object) -> Iterator[Sentence]:
    for at, example in enumerate(_list(f"{path}: examples", examples)):
        where = f"{path}: examples[{at}]"
        if isinstance(example, dict):
            yield _marked(where, intent, example)
        else:
            yield Sentence(_text(where, example), intent)


def _marked(where: str, intent: str, example: dict[object, object]) -> Sentence:
    """A sentence that stands with what else it tells: its topic, its facets or its kind."""
    unknown = set(example) - {"text", "topic", "facet", "kind"}
    if unknown:
        raise BadData(f"{where}: unknown key {sorted(map(str, unknown))[0]!r}")
    kind, topic = example.get("kind"), example.get("topic")
    if kind is not None and kind not in KINDS:
        raise BadData(f"{where}.kind: {kind!r} is none of {', '.join(KINDS)}")
    if topic is not None and (intent not in TOPIC_KIND or not isinstance(topic, str)):
        raise BadData(f"{where}.topic: must be an id, in {' or '.join(TOPIC_KIND)} only")
    facets = tuple(_facet(f"{where}.facet", f) for f in _list(where, example.get("facet")))
    text = _text(f"{where}.text", example.get("text"))
    return Sentence(text, intent, topic, facets, str(kind) if kind else None)


def _asked(where: str, intent: str, topic: str, asked: object) -> Iterator[Sentence]:
    """A mapping from facets to sentences for a procedure, a plain list for a situation."""
    if intent == "ask_conduct":
        for at, text in enumerate(_list(where, asked)):
            yield Sentence(_text(f"{where}[{at}]", text), intent, topic)
        return
    if not isinstance(asked, dict):
        raise BadData(f"{where}: must be a mapping from facets to sentences")
    for key, texts in asked.items():
        facets = tuple(_facet(f"{where}.{key}", facet) for facet in str(key).split("+"))
        for at, text in enumerate(_list(f"{where}.{key}", texts)):
            yield Sentence(_text(f"{where}.{key}[{at}]", text), intent, topic, facets)


def _facet(where: str, facet: object) -> str:
    if facet not in FACETS:
        raise BadData(f"{where}: {facet!r} is none of {', '.join(FACETS)}")
    return str(facet)


def _list(where: str, value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadData(f"{where}: must be a list of sentences")
    return value


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadData(f"{where}: must be a text, not {value!r} (put it in quotes)")
    return value
