"""The peer's project: what `rasa init` writes, our domain, five hundred of our sentences."""

import hashlib
import io
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from nlu.sentences import Sentence, read_sentences
from tests.bench.conversation import LINES
from tests.bench.processes import BENCH, CHECKOUT, NLU_PYTHON, PYTHON, BenchBroken, child

SENTENCES = 500
MODEL = Path("models") / "peer.tar.gz"
ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONWARNINGS": "ignore",
}

_SITE = CHECKOUT / "nlu" / ".venv" / "lib" / "python3.11" / "site-packages"
_SCAFFOLD = _SITE / "rasa" / "cli" / "initial_project"
_TRAINING_SECONDS = 1800.0


@dataclass(frozen=True)
class Project:
    """A trained stock assistant in a folder of its own, whose custom actions have our names."""

    folder: Path
    actions: tuple[str, ...]
    endpoint: Mapping[str, Any]
    """How Rasa is to call our verbs; its `url` is to be filled in."""
    trained_now: bool


async def trained() -> Project:
    """The peer's project, trained unless a model of exactly these files is there."""
    ours = await written_by_us()
    files = project_files(ours)
    folder = BENCH / f"peer-{fingerprint(files)}"
    endpoint = _read(ours["endpoints.yml"])["action_endpoint"]
    actions = tuple(_read(ours["domain.yml"])["actions"])
    if (folder / MODEL).is_file():
        return Project(folder, actions, endpoint, trained_now=False)
    print("training the peer with Rasa's own epochs: minutes, and only this time", flush=True)
    training = folder.with_suffix(".training")
    shutil.rmtree(training, ignore_errors=True)
    _write(training, files)
    await _train(training)
    training.rename(folder)
    return Project(folder, actions, endpoint, trained_now=True)


async def written_by_us() -> dict[str, str]:
    """What `motcua rasa domain` writes for an agency that has a Rasa assistant."""
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH, prefix="domain-") as folder:
        command = [PYTHON.with_name("motcua"), "rasa", "domain", folder]
        async with child("motcua rasa domain", command, CHECKOUT, {}) as writing:
            await writing.success(within=60.0)
        return _files_in(Path(folder))


def _files_in(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text("utf-8") for p in folder.rglob("*.yml")}


def project_files(ours: Mapping[str, str]) -> dict[str, str]:
    """Every file that training reads, by its path: Rasa's pipeline and policies, our domain and
    rules, five hundred sentences, and the conversation of the bench as stories."""
    try:
        config = (_SCAFFOLD / "config.yml").read_text("utf-8")
    except OSError as error:
        raise BenchBroken(f"Rasa is not installed: run `make setup` ({error})") from error
    action = {
        rule["steps"][0]["intent"]: rule["steps"][1]["action"]
        for rule in _read(ours["data/rules.yml"])["rules"]
    }
    sentences = _sentences()
    return {
        "config.yml": config,
        "domain.yml": ours["domain.yml"],
        "data/rules.yml": ours["data/rules.yml"],
        "data/nlu.yml": written(nlu=list(examples(sentences))),
        "data/stories.yml": written(stories=list(_stories(action))),
    }


def _sentences() -> list[Sentence]:
    """Five hundred sentences. The ten lines are among them, so that Rasa goes the way they are
    meant to go: its speed is measured here, not what it understands."""
    lines = [Sentence(text, intent) for text, intent in LINES]
    texts = {line.text for line in lines}
    others = [s for s in read_sentences(CHECKOUT / "data") if s.text not in texts]
    return [*lines, *sample(others, SENTENCES - len(lines))]


def fingerprint(files: Mapping[str, str]) -> str:
    """A short hash of all files, and of Rasa's version."""
    digest = hashlib.sha256(rasa_version().encode())
    for name, content in sorted(files.items()):
        digest.update(f"\0{name}\0{content}".encode())
    return digest.hexdigest()[:12]


def rasa_version() -> str:
    """The version of Rasa in nlu's environment."""
    found = [path.name for path in _SITE.glob("rasa-*.dist-info")]
    if not found:
        raise BenchBroken("Rasa is not installed: run `make setup`")
    return found[0].removeprefix("rasa-").removesuffix(".dist-info")


def sample(sentences: Iterable[Sentence], size: int) -> list[Sentence]:
    """A fixed choice of sentences: every intent in its turn, spread evenly over its list."""
    by_intent: dict[str, list[Sentence]] = defaultdict(list)
    for sentence in sentences:
        if is_plain(sentence):
            by_intent[sentence.intent].append(sentence)
    wanted = dict.fromkeys(sorted(by_intent), 0)
    left = min(size, sum(map(len, by_intent.values())))
    while left:
        for intent in wanted:
            if left and wanted[intent] < len(by_intent[intent]):
                wanted[intent] += 1
                left -= 1
    return [
        by_intent[intent][len(by_intent[intent]) * at // count]
        for intent, count in wanted.items()
        for at in range(count)
    ]


def is_plain(sentence: Sentence) -> bool:
    """Whether Rasa's format of training data takes nothing in a sentence for a mark."""
    return not set(sentence.text) & set("[](){}|\n")


def examples(sentences: Iterable[Sentence]) -> Iterable[dict[str, str]]:
    """Sentences in Rasa's format, an entry an intent."""
    texts: dict[str, list[str]] = defaultdict(list)
    for sentence in sentences:
        texts[sentence.intent].append(" ".join(sentence.text.split()))
    for intent, lines in texts.items():
        yield {"intent": intent, "examples": "".join(f"- {line}\n" for line in lines)}


def _stories(action: Mapping[str, str]) -> Iterable[dict[str, object]]:
    """The conversation of the bench, and its two halves: what the stock policies learn from."""
    intents = [intent for _, intent in LINES]
    for name, part in {"whole": intents, "questions": intents[:4], "case": intents[4:]}.items():
        steps = [step for i in part for step in ({"intent": i}, {"action": action[i]})]
        yield {"story": name, "steps": steps}


def written(**content: object) -> str:
    """A file of Rasa's training data."""
    output = io.StringIO()
    YAML(typ="safe").dump({"version": "3.1", **content}, output)
    return output.getvalue()


def _read(content: str) -> Any:
    return YAML(typ="safe").load(content)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, "utf-8")


async def _train(folder: Path) -> None:
    command = [NLU_PYTHON, "-m", "rasa", "train", "--fixed-model-name", MODEL.name.split(".")[0]]
    cache = {"RASA_CACHE_DIRECTORY": str(BENCH / "rasa-cache")}
    async with child("training of the peer", command, folder, ENVIRONMENT | cache) as training:
        await training.success(within=_TRAINING_SECONDS)
        if not (folder / MODEL).is_file():
            raise BenchBroken(f"the peer was not trained:\n{training.last_words()}")
