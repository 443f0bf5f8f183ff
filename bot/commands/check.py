"""Checks every data file and names file, field and mend of what is wrong."""

import argparse

from bot.gateway import build_house
from bot.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes no arguments."""


def main(_args: argparse.Namespace) -> int:
    """Loads everything as a gateway would; BadData is told by the command line."""
    files = build_house(Settings()).knowledge.files
    print(
        f"data is sound: {len(files.procedures)} procedures, {len(files.situations)} situations, "
        f"{len(files.rules)} rules, {len(files.laws)} laws, {len(files.catalogue)} names"
    )
    return 0
