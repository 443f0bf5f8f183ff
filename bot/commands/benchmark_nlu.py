"""Trains and tests our understanding on a foreign data set, and prints how well it does."""

import argparse
import subprocess
from pathlib import Path

from bot.nlu_process import NluCannotStart
from bot.settings import CHECKOUT

_PYTHON = CHECKOUT / "nlu" / ".venv" / "bin" / "python"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two files of JSON lines: `text`, `intent`, `entities`."""
    parser.add_argument("train", metavar="TRAIN.jsonl", type=Path, help="what to learn from")
    parser.add_argument("test", metavar="TEST.jsonl", type=Path, help="what to be tested with")


def main(args: argparse.Namespace) -> int:
    """Runs `nlu.benchmark` with nlu's own Python; 2 where a file is no data set."""
    if not _PYTHON.exists():
        raise NluCannotStart("nlu is not set up: run `make setup` first")
    files = [str(path.absolute()) for path in (args.train, args.test)]
    command = [str(_PYTHON), "-m", "nlu.benchmark", *files]
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode  # noqa: S603 - our Python
