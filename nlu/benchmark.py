"""`python -m nlu.benchmark TRAIN TEST`, started in the root: our pipeline on a foreign data set.

A line of either file is `{"text", "intent", "entities": [{"start", "end", "entity", "value"}]}`,
`value` at will. Normaliser and classifier are those of `config.yml`; what our rules extract means
nothing to others, so entities are learned (`tagger.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlu.interval import wilson
from nlu.sentences import BadData, read_yaml
from nlu.serve import load_parse
from nlu.text import without_diacritics
from nlu.train import BAD_DATA, quiet_rasa, run_trainer

if TYPE_CHECKING:
    from nlu.serve import Parse
    from nlu.tagger import Span

CONFIG = Path("config.yml")
RULES, LEARNED = "nlu.entities.EntityExtractor", "nlu.tagger.Tagger"


@dataclass(frozen=True)
class Example:
    """A sentence of a data set: what it means, and which letters are an entity of which type."""

    text: str
    intent: str
    entities: frozenset[Span]


@dataclass(frozen=True)
class Answer:
    """What the pipeline made of an example, and how many seconds that took."""

    example: Example
    intent: str | None
    entities: frozenset[Span]
    seconds: float


@dataclass(frozen=True)
class Share:
    """So many right ones of so many; `counts` says it in words."""

    right: int
    of: float
    counts: str

    def percent(self) -> str:
        """The share and the interval that holds the true one 95 times in 100 (Wilson)."""
        if not self.of:
            return f"{'-':>6}  {'-':>13}"
        low, high = wilson(self.right, self.of)
        interval = f"{low:.1%} - {high:.1%}".replace("%", "")
        return f"{100 * self.right / self.of:6.1f}  {interval:>13}"


def main(arguments: list[str] | None = None) -> int:
    """Train on the one file, test on the other, print the table; 2 where a file is no data set."""
    parser = argparse.ArgumentParser(prog="python -m nlu.benchmark", description=__doc__)
    parser.add_argument("train", type=Path, help="JSON lines to learn from")
    parser.add_argument("test", type=Path, help="JSON lines to be tested with")
    options = parser.parse_args(arguments)
    try:
        train, test = read_examples(options.train), read_examples(options.test)
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            parse, seconds = learn(train, Path(folder))
    except BadData as error:
        print(f"cannot benchmark: {error}", file=sys.stderr)
        return BAD_DATA
    for line in report(train, test, parse, seconds):
        print(line)
    return 0


def read_examples(path: Path) -> list[Example]:
    """The examples of a file; raises BadData, which names file and line."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from error
    examples = [
        _example(f"{path}, line {number}", line)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not examples:
        raise BadData(f"{path}: no line in it")
    return examples


def learn(examples: Sequence[Example], folder: Path) -> tuple[Parse, float]:
    """What the trained pipeline makes of a text, and how many seconds the training took.

    Whatever is said meanwhile goes to standard error.
    """
    with contextlib.redirect_stdout(sys.stderr):
        quiet_rasa(folder)
        from nlu.importer import GivenImporter  # brings TensorFlow: not what is timed

        importer = GivenImporter([_data(example) for example in examples], _pipeline())
        made = folder / "nlu.tar.gz"
        started = time.perf_counter()
        run_trainer(importer, made, folder)
        seconds = time.perf_counter() - started
        return load_parse(made), seconds


def report(
    train: Sequence[Example], test: Sequence[Example], parse: Parse, seconds: float
) -> Iterator[str]:
    """The table, line by line."""
    as_written = [_answer(example, parse) for example in test]
    folded = [_answer(fold_example(example), parse) for example in test]
    typical = 1000 * statistics.median(answer.seconds for answer in as_written)
    types = {name for example in train for _, _, name in example.entities}
    yield (
        f"trained  {len(train)} sentences, {len({e.intent for e in train})} intents, "
        f"{len(types)} slot types, in {seconds:.1f} s"
    )
    yield f"tested   {len(test)} sentences, median parse {typical:.2f} ms"
    yield ""
    yield f"{'':17}  {'test set':10}  {'%':>6}  {'95 % interval':>13}  counts"
    for reading, answers in (("as written", as_written), ("folded", folded)):
        for name, share in measures(answers).items():
            yield f"{name:17}  {reading:10}  {share.percent()}  {share.counts}"


def measures(answers: Sequence[Answer]) -> dict[str, Share]:
    """Intent accuracy, slot F1 (micro, span and type exact) and whole-sentence accuracy.

    F1 is the share of the right entities among the mean of those marked and those found.
    """
    size = len(answers)
    intents = sum(a.intent == a.example.intent for a in answers)
    whole = sum(a.intent == a.example.intent and a.entities == a.example.entities for a in answers)
    right = sum(len(a.entities & a.example.entities) for a in answers)
    marked = sum(len(a.example.entities) for a in answers)
    found = sum(len(a.entities) for a in answers)
    slots = f"{right} right, {found} found, {marked} marked"
    return {
        "intent accuracy": Share(intents, size, f"{intents} of {size}"),
        "slot F1": Share(right, (marked + found) / 2, slots),
        "sentence accuracy": Share(whole, size, f"{whole} of {size}"),
    }


def fold_example(example: Example) -> Example:
    """The same without diacritics; entities keep their letters where a text gets shorter."""

    def moved(at: int) -> int:
        return len(without_diacritics(example.text[:at]))

    entities = frozenset((moved(start), moved(end), name) for start, end, name in example.entities)
    return Example(without_diacritics(example.text), example.intent, entities)


def _answer(example: Example, parse: Parse) -> Answer:
    started = time.perf_counter()
    parsed = parse(example.text)
    seconds = time.perf_counter() - started
    entities = frozenset((e["start"], e["end"], e["entity"]) for e in parsed["entities"])
    return Answer(example, parsed["intent"]["name"], entities, seconds)


def _pipeline() -> dict[str, Any]:
    """The house's pipeline with the tagger in the place of the rules."""
    config: Any = read_yaml(CONFIG)
    kept = [component for component in config["pipeline"] if component["name"] != RULES]
    return {**config, "pipeline": [*kept, {"name": LEARNED}]}


def _data(example: Example) -> dict[str, Any]:
    """An example as the data of a message of Rasa's."""
    entities = [
        {"start": start, "end": end, "entity": name, "value": example.text[start:end]}
        for start, end, name in sorted(example.entities)
    ]
    return {"text": example.text, "intent": example.intent, "entities": entities}


def _example(where: str, line: bytes) -> Example:
    try:
        content = json.loads(line)
    except ValueError as error:  # also where the line is not UTF-8
        raise BadData(f"{where}: is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise BadData(f"{where}: must be an object with text, intent and entities")
    text, intent = (_words(where, content, key) for key in ("text", "intent"))
    marked = content.get("entities", [])
    if not isinstance(marked, list):
        raise BadData(f"{where}: entities must be a list")
    entities = [_entity(f"{where}: entities[{at}]", one, text) for at, one in enumerate(marked)]
    _keep_apart(where, entities)
    return Example(text, intent.strip(), frozenset(entities))


def _entity(where: str, content: object, text: str) -> Span:
    if not isinstance(content, dict):
        raise BadData(f"{where} must be an object with start, end and entity")
    start, end = content.get("start"), content.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise BadData(f"{where}: start and end must be letters of the text, not {start}, {end}")
    return start, end, _words(where, content, "entity")


def _words(where: str, content: dict[str, object], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadData(f"{where}: {key} must be a text, not {value!r}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadData(f"{where}: {key} holds half a letter")
    return value


def _keep_apart(where: str, entities: Iterable[Span]) -> None:
    ordered = sorted(entities)
    for (_, end, name), (start, _, other) in pairwise(ordered):
        if start < end:
            raise BadData(f"{where}: the entities {name} and {other} overlap")


if __name__ == "__main__":
    sys.exit(main())
