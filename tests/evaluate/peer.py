"""The peer: Rasa's default pipeline on the same sentences, intents only.

`python -m tests.evaluate.peer` trains it in steps that are kept, so that what takes hours can be
broken off and goes on the next time; then it asks the peer every message of the blind set in
every way of writing, and keeps its answers in tests/evaluate/peer.json.
"""

import argparse
import asyncio
import hashlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

from bot.settings import CHECKOUT
from nlu.sentences import read_sentences
from nlu.text import clean
from tests.bench.peer_project import ENVIRONMENT, examples, is_plain, rasa_version, written
from tests.bench.processes import NLU_PYTHON, answers, child, free_port
from tests.evaluate.messages import WRITINGS, Marked, blind

EPOCHS = 100
STEP = 10
ANSWERS = Path(__file__).with_name("peer.json")
FOLDER = CHECKOUT / "var" / "evaluate"

_TRAINING_SECONDS = 4 * 3600.0
_START_SECONDS = 180.0
_CONFIG = {
    "recipe": "default.v1",
    "assistant_id": "peer",
    "language": "vi",
    "pipeline": [
        {"name": "WhitespaceTokenizer"},
        {"name": "RegexFeaturizer"},
        {"name": "LexicalSyntacticFeaturizer"},
        {"name": "CountVectorsFeaturizer"},
        {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
        {"name": "DIETClassifier", "epochs": STEP, "entity_recognition": False},
    ],
}
"""Rasa's default, without what finds entities and answers small talk."""


@dataclass(frozen=True)
class Kept:
    """What the peer answered once, and what that took."""

    sentences: int
    of_sentences: str
    """A hash of the sentences it learned."""
    of_messages: str
    """A hash of the messages it was asked."""
    epochs: int
    training_seconds: float
    training_memory_mb: float
    memory_mb: float
    parse_ms: float
    rasa: str
    told: dict[str, list[str]]
    """By way of writing the intent of every message, in order."""


def kept(messages: Sequence[Marked]) -> Kept | None:
    """The peer's kept answers, where they are to just these messages."""
    if not ANSWERS.is_file():
        return None
    found = Kept(**json.loads(ANSWERS.read_text("utf-8")))
    return found if found.of_messages == _hash(m.text for m in messages) else None


def main(arguments: list[str] | None = None) -> int:
    """Trains what is still to be trained, then asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate.peer", description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="stop after so many")
    options = parser.parse_args(arguments)
    asyncio.run(_peer(options.epochs))
    return 0


async def _peer(epochs: int) -> None:
    sentences = read_sentences(CHECKOUT / "data")
    name = _hash(f"{s.intent}\t{s.text}" for s in sentences)
    folder = FOLDER / f"peer-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(json.dumps(_CONFIG), "utf-8")
    (folder / "nlu.yml").write_text(
        written(nlu=list(examples(filter(is_plain, sentences)))), "utf-8"
    )
    for done in range(0, epochs, STEP):
        await _train(folder, done)
    messages = blind()
    model = _model(folder, epochs)
    answered, memory, parse_ms = await _ask(model, messages)
    steps = [json.loads(path.read_text()) for path in sorted(folder.glob("epochs-*.json"))]
    found = Kept(
        len(sentences),
        name,
        _hash(m.text for m in messages),
        epochs,
        sum(step["seconds"] for step in steps),
        max(step["memory_mb"] for step in steps),
        memory,
        parse_ms,
        rasa_version(),
        answered,
    )
    ANSWERS.write_text(json.dumps(asdict(found), ensure_ascii=False) + "\n", "utf-8")


async def _train(folder: Path, done: int) -> None:
    """One step of training, on top of the steps that are kept."""
    made = _model(folder, done + STEP)
    if made.is_file():
        return
    command = [NLU_PYTHON, "-m", "rasa", "train", "nlu", "--config", "config.yml"]
    command += ["--nlu", "nlu.yml", "--out", "making", "--fixed-model-name", made.stem[:-4]]
    if done:
        command += ["--finetune", _model(folder, done)]
    print(f"the peer learns: epochs {done + 1} to {done + STEP} of {EPOCHS}", flush=True)
    started = time.monotonic()
    async with child(f"peer epochs {done}", command, folder, ENVIRONMENT) as training:
        await training.success(within=_TRAINING_SECONDS)
    took = {
        "seconds": round(time.monotonic() - started, 1),
        "memory_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000,
    }
    (folder / "making" / made.name).replace(made)
    made.with_name(made.name.replace(".tar.gz", ".json")).write_text(json.dumps(took))
    print(f"  {took['seconds']:.0f} s", flush=True)


async def _ask(
    model: Path, messages: Sequence[Marked]
) -> tuple[dict[str, list[str]], float, float]:
    """Its intents, its resident memory (MB) and its median time of a parse (ms, one client)."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [NLU_PYTHON, "-m", "rasa", "run", "--enable-api", "--interface", "127.0.0.1"]
    command += ["--port", url.rpartition(":")[2], "--model", model]
    told: dict[str, list[str]] = {}
    times: list[float] = []
    async with (
        child("peer", command, model.parent, ENVIRONMENT) as rasa,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
    ):
        await rasa.until(lambda: answers(session, f"{url}/status"), _START_SECONDS)
        for writing in WRITINGS:
            told[writing] = []
            for at, marked in enumerate(messages):
                started = time.perf_counter()
                body = {"text": clean(marked.written(writing, at))}
                async with session.post(f"{url}/model/parse", json=body) as response:
                    told[writing].append((await response.json())["intent"]["name"])
                times.append(time.perf_counter() - started)
        return told, rasa.memory_megabytes(), 1000 * statistics.median(times)


def _model(folder: Path, epochs: int) -> Path:
    return folder / f"epochs-{epochs:03}.tar.gz"


def _hash(texts: object) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
