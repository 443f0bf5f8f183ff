"""Puts question files to the real assistant and says where it answers otherwise than expected.

python -m tests.asking FILE…      prints every difference and the share that is right
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bot.settings import CHECKOUT
from nlu.text import normalize

DAY = "2026-11-24"
QUESTIONS = CHECKOUT / "tests" / "questions" / "vi"


@dataclass(frozen=True)
class Question:
    """One way of asking, and what is expected of the answer."""

    file: str
    text: str
    expected: dict[str, Any]


def read(paths: Iterable[Path]) -> list[Question]:
    """Every way of asking of some question files."""
    yaml = YAML(typ="safe")
    return [
        Question(path.stem, text, {k: v for k, v in entry.items() if k != "ask"})
        for path in paths
        for entry in yaml.load(path)
        for text in entry["ask"]
    ]


def ask(texts: Iterable[str], *, day: str = DAY) -> list[dict[str, Any]]:
    """The real answers, a new conversation each."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    return _objects("ask", "--jsonl", "--day", day, lines=lines)


def hold(turns: list[str], *, day: str = DAY) -> list[dict[str, Any]]:
    """The real answers to one conversation."""
    return _objects("ask", "--dialogue", "--day", day, lines=json.dumps(turns))


def motcua(*args: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    """The real command, with some lines on its standard input."""
    return subprocess.run(
        [CHECKOUT / ".venv" / "bin" / "motcua", *args],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        timeout=120,
    )


def _objects(*args: str, lines: str) -> list[dict[str, Any]]:
    done = motcua(*args, lines=lines)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def differences(expected: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Where an answer is not what was expected; an absent key is not checked."""
    found = []
    for key in ("intent", "conclusion", "case_kind"):
        if key in expected and answer[key] not in _several(expected[key]):
            found.append(f"{key} {answer[key]} not {expected[key]}")
    for key in ("procedure", "rule"):
        got = (answer[key] or {}).get("id")
        if key in expected and got != expected[key]:
            found.append(f"{key} {got} not {expected[key]}")
    if "facet" in expected and set(answer["facet"]) != set(expected["facet"]):
        found.append(f"facet {answer['facet']} not {expected['facet']}")
    if "outcome" in expected and answer["outcome"] not in _several(expected["outcome"]):
        found.append(f"outcome {answer['outcome']} not {expected['outcome']}")
    told = normalize(" ".join(reply["text"] for reply in answer["replies"]))
    missing = [piece for piece in expected.get("says", ()) if normalize(piece) not in told]
    return found + [f"does not say {piece!r}" for piece in missing]


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def main(names: list[str]) -> int:
    """Prints every difference and, for each kind of expectation, the share that is right."""
    questions = read(map(Path, names))
    answers = ask(question.text for question in questions)
    right: dict[str, list[bool]] = {}
    for question, answer in zip(questions, answers, strict=True):
        wrong = differences(question.expected, answer)
        right.setdefault("all", []).append(not wrong)
        for key in question.expected:
            ok = not differences({key: question.expected[key]}, answer)
            right.setdefault(key, []).append(ok)
        if wrong:
            print(f"{question.file}: {question.text}\n    {'; '.join(wrong)}")
    for key, results in right.items():
        print(f"{key}: {sum(results)} of {len(results)} ({sum(results) / len(results):.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
