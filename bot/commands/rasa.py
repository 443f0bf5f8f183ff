"""Helps an agency that has a Rasa assistant: writes what its project needs to call our actions."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from actions.knowledge import BadData, Files, Knowledge, Problem
from bot.channels.rasa import FORM, PRESS, ROUTE, TOKEN, TURN, action_name
from bot.dialogue import Intent, load_intents
from bot.settings import Settings, load_settings

_HEADER = "# Written by `motcua rasa domain`; docs/channels/rasa.md says what each part is for.\n"
_VERSION = "3.1"
_FILES = ("domain.yml", "config.yml", "endpoints.yml", "data/nlu.yml", "data/rules.yml")
_ANNOTATION = frozenset("[](){}")
"""What Rasa reads as marks of entities inside an example."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One of: domain."""
    what = parser.add_subparsers(dest="what", required=True)
    domain = what.add_parser("domain", help="writes the files of a Rasa 3 project")
    domain.add_argument(
        "folder", nargs="?", type=Path, default=Path("rasa-assistant"), help="where to write"
    )
    domain.add_argument(
        "--sentences", type=_number, default=40, metavar="N", help="sentences for each intent"
    )
    domain.add_argument("--force", action="store_true", help="overwrite files that are there")


def main(args: argparse.Namespace) -> int:
    """Writes every file, or none where one is there already."""
    there = [path for name in _FILES if (path := args.folder / name).exists()]
    if there and not args.force:
        listed = ", ".join(map(str, there))
        print(f"nothing written, there already: {listed} (--force overwrites)", file=sys.stderr)
        return 1
    for name, content in project(load_settings(), args.sentences).items():
        path = args.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(f"wrote {path}")
    return 0


def project(settings: Settings, most: int) -> dict[str, str]:
    """The files of a Rasa project by their paths; raises BadData."""
    intents = load_intents(settings.data / "intents.yml")
    said = _sentences(settings.data, intents)
    contents = (
        _domain(intents),
        _CONFIG,
        _endpoints(settings),
        _nlu(said, most),
        _rules(intents),
    )
    return dict(zip(_FILES, map(_written, contents), strict=True))


def _domain(intents: Iterable[Intent]) -> dict[str, Any]:
    verbs = dict.fromkeys(action_name(intent.verb) for intent in intents)
    return {
        "version": _VERSION,
        "intents": [*(intent.id for intent in intents), PRESS],
        "entities": [TOKEN],
        "actions": [*verbs, TURN, FORM],
        "forms": {FORM: {"required_slots": []}},
        "session_config": {
            "session_expiration_time": 60,
            "carry_over_slots_to_new_session": True,
        },
    }


def _rules(intents: Iterable[Intent]) -> dict[str, Any]:
    """One rule an intent; the form needs none, because an active loop comes before every rule."""
    chosen = {intent.id: action_name(intent.verb) for intent in intents}
    chosen |= {PRESS: TURN, "nlu_fallback": TURN}
    rules = [
        {"rule": intent, "steps": [{"intent": intent}, {"action": action}]}
        for intent, action in chosen.items()
    ]
    return {"version": _VERSION, "rules": rules}


def _nlu(said: Mapping[str, list[str]], most: int) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "nlu": [
            {"intent": intent, "examples": _listed(_sample(sentences, most))}
            for intent, sentences in said.items()
            if sentences
        ],
    }


def _endpoints(settings: Settings) -> dict[str, Any]:
    url = f"http://127.0.0.1:{settings.port}{ROUTE}"
    return {"action_endpoint": {"url": url, "enable_selective_domain": True}}


_CONFIG: dict[str, Any] = {
    "recipe": "default.v1",
    "assistant_id": "motcua",
    "language": "vi",
    "pipeline": [
        {"name": "WhitespaceTokenizer"},
        {"name": "CountVectorsFeaturizer", "min_ngram": 1, "max_ngram": 2},
        {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 2, "max_ngram": 5},
        {"name": "LogisticRegressionClassifier"},
        {"name": "FallbackClassifier", "threshold": 0.3, "ambiguity_threshold": 0.05},
    ],
    "policies": [{"name": "RulePolicy"}],
}


def _sentences(data: Path, intents: Iterable[Intent]) -> dict[str, list[str]]:
    """Every sentence of every intent, those of the knowledge files first."""
    files = Knowledge.load(data / "knowledge").files
    asked = {"ask_procedure": _of_procedures(files), "ask_conduct": _of_situations(files)}
    found = {}
    for intent in intents:
        path = data / "sentences" / "vi" / f"{intent.id}.yml"
        own = _of_file(path) if path.exists() else ()
        found[intent.id] = [*asked.get(intent.id, ()), *own]
    return found


def _of_procedures(files: Files) -> Iterator[str]:
    for procedure in files.procedures.values():
        for sentences in procedure.asked_as.values():
            yield from sentences


def _of_situations(files: Files) -> Iterator[str]:
    for situation in files.situations.values():
        yield from situation.asked_as


def _of_file(path: Path) -> Iterator[str]:
    """The sentences of a file; only training judges the rest of it."""
    try:
        content = YAML(typ="safe").load(path)
    except (UnicodeDecodeError, YAMLError) as error:
        raise BadData([Problem(path.name, "", f"is not YAML: {error}")]) from error
    for part in ("examples", "topics"):
        yield from _texts(content.get(part))


def _texts(content: object) -> Iterator[str]:
    match content:
        case str(text) | {"text": str(text)}:
            yield text
        case dict():
            yield from _texts(list(content.values()))
        case list():
            for part in content:
                yield from _texts(part)


def _sample(sentences: Iterable[str], most: int) -> list[str]:
    """At most that many sentences, taken evenly over all of them."""
    usable = [s for s in dict.fromkeys(sentences) if not (_ANNOTATION & set(s) or s[0] == "/")]
    size = min(most, len(usable))
    return [usable[at * len(usable) // size] for at in range(size)]


def _listed(sentences: Iterable[str]) -> str:
    lines = (f"- {' '.join(sentence.split())}\n" for sentence in sentences)
    listed: str = LiteralScalarString("".join(lines))
    return listed


def _written(content: Mapping[str, Any]) -> str:
    yaml = YAML()
    yaml.allow_unicode = True
    yaml.width = 200
    out = StringIO()
    yaml.dump(dict(content), out)
    return _HEADER + out.getvalue()


def _number(given: str) -> int:
    number = int(given)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
