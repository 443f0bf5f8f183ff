"""Checks every data file and names file, field and mend of what is wrong."""

import argparse
import sys

from actions.knowledge import Files
from bot.gateway import build_house
from bot.settings import load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Without arguments everything is checked; with --hash one file's hash is told."""
    parser.add_argument("--hash", metavar="ID", help="the hash by which an office signs that file")


def main(args: argparse.Namespace) -> int:
    """Loads everything as a gateway would; BadData is told by the command line."""
    files = build_house(load_settings()).knowledge.files
    if args.hash:
        return _print_hash(args.hash, files)
    print(
        f"data is sound: {len(files.procedures)} procedures, {len(files.situations)} situations, "
        f"{len(files.rules)} rules, {len(files.laws)} laws, {len(files.catalogue)} names"
    )
    return 0


def _print_hash(topic_id: str, files: Files) -> int:
    if topic_id not in files.hashes:
        print(f"no procedure, rule or situation is called {topic_id}", file=sys.stderr)
        return 1
    print(files.hashes[topic_id])
    return 0
