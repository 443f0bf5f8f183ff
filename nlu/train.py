"""`python -m nlu.train`, started in the root: trains when what training reads has changed."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nlu.sentences import BadData, asked_as, knowledge_files, read_yaml

if TYPE_CHECKING:
    from rasa.shared.importers.importer import TrainingDataImporter

MODEL = Path("var/model/nlu.tar.gz")
TRAINED_FROM = MODEL.with_name("trained_from.sha256")
BAD_DATA = 2
UNREAD = ("serve.py", "benchmark.py", "interval.py")
"""What no model depends on."""


def main(arguments: list[str] | None = None) -> int:
    """Train if need be; with --check only say whether there is need (0 fresh, 1 stale)."""
    parser = argparse.ArgumentParser(prog="python -m nlu.train", description=__doc__)
    parser.add_argument("--force", action="store_true", help="train even if nothing has changed")
    parser.add_argument("--check", action="store_true", help="only say whether to train")
    options = parser.parse_args(arguments)
    try:
        wanted = fingerprint(Path.cwd())
        fresh = MODEL.exists() and _trained_from() == wanted
        if options.check:
            print("the model is fresh" if fresh else "the model is stale: run `make train`")
            return 0 if fresh else 1
        if fresh and not options.force:
            print(f"the model is fresh, nothing to train ({MODEL})")
            return 0
        train(wanted)
    except BadData as error:
        print(f"cannot train: {error}", file=sys.stderr)
        return BAD_DATA
    return 0


def fingerprint(root: Path) -> str:
    """A hash of all that training reads: code, lock, pipeline, sentences, words, `asked_as`."""
    digest = hashlib.sha256()
    for name, content in _read_by_training(root):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def train(wanted: str) -> None:
    """Train a model, then put it in the place of the old one in a single step."""
    started = time.monotonic()
    os.umask(0o077)
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MODEL.parent, prefix="training-") as folder:
        made = Path(folder) / MODEL.name
        _run_rasa(made, Path(folder))
        TRAINED_FROM.unlink(missing_ok=True)
        made.replace(MODEL)
    TRAINED_FROM.write_text(wanted + "\n", "utf-8")
    size = MODEL.stat().st_size / 1e6
    print(f"trained {MODEL} ({size:.0f} MB) in {time.monotonic() - started:.0f} s", flush=True)


def _run_rasa(made: Path, folder: Path) -> None:
    """Rasa's trainer on our own sentences."""
    quiet_rasa(folder)
    from rasa.shared.importers.importer import TrainingDataImporter

    importer = TrainingDataImporter.load_nlu_importer_from_config("config.yml")
    sentences = importer.get_nlu_data()
    print(
        f"read {len(sentences.intent_examples)} sentences of {len(sentences.intents)} intents",
        flush=True,
    )
    run_trainer(importer, made, folder)


def quiet_rasa(folder: Path) -> None:
    """Before Rasa is imported: no cache, telemetry or talk."""
    os.environ |= {
        "RASA_TELEMETRY_ENABLED": "false",
        "RASA_MAX_CACHE_SIZE": "0",
        "RASA_CACHE_DIRECTORY": str(folder / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    warnings.showwarning = lambda *_, **__: None  # libraries of Rasa reset the filters
    print("starting Rasa (about ten seconds)", flush=True)


def run_trainer(importer: TrainingDataImporter, made: Path, folder: Path) -> None:
    """Train the pipeline of an importer on its examples with Rasa's own trainer."""
    from rasa.engine.caching import LocalTrainingCache
    from rasa.engine.recipes.default_recipe import DefaultV1Recipe
    from rasa.engine.runner.dask import DaskGraphRunner
    from rasa.engine.storage.local_model_storage import LocalModelStorage
    from rasa.engine.training.graph_trainer import GraphTrainer
    from rasa.shared.data import TrainingType

    configuration = DefaultV1Recipe().graph_config_for_recipe(
        importer.get_config(), {}, training_type=TrainingType.NLU
    )
    storage = LocalModelStorage(folder / "storage")
    (folder / "storage").mkdir()
    GraphTrainer(storage, LocalTrainingCache(), DaskGraphRunner).train(
        configuration, importer, made, force_retraining=True
    )


def _read_by_training(root: Path) -> Iterator[tuple[str, bytes]]:
    code = [path for path in sorted((root / "nlu").glob("*.py")) if path.name not in UNREAD]
    files = [*code, root / "nlu/uv.lock", root / "config.yml"]
    files.append(root / "data" / "vocabulary" / "teencode.yml")
    files += sorted((root / "data" / "sentences").rglob("*.yml"))
    for path in files:
        yield path.relative_to(root).as_posix(), _content(path)
    for path in knowledge_files(root / "data"):
        asked = asked_as(read_yaml(path))
        yield path.relative_to(root).as_posix(), json.dumps(asked, default=str).encode()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from error


def _trained_from() -> str | None:
    return TRAINED_FROM.read_text("utf-8").strip() if TRAINED_FROM.exists() else None


if __name__ == "__main__":
    sys.exit(main())
