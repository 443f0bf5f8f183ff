"""The command line: `motcua <command>`."""

import argparse
import importlib
import logging
import os
import sys
from types import ModuleType

from actions.knowledge import BadData
from bot.nlu_process import NluCannotStart
from bot.settings import BadSettings
from bot.store import StoreUnavailable
from bot.store.keys import KeysUnusable

_COMMANDS = (
    "run",
    "serve",
    "check",
    "parse",
    "ask",
    "chat",
    "cases",
    "outbox",
    "demo",
    "telegram",
    "zalo",
    "rasa",
    "benchmark-nlu",
)


def main() -> int:
    """Runs one command; known troubles are told in plain words, without a trace."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for noisy in ("alembic", "asyncio", "aiohttp.access", "rasa_sdk"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.umask(0o077)
    parser = argparse.ArgumentParser(prog="motcua", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    modules = _load(sys.argv[1:])
    for name, module in modules.items():
        module.add_arguments(
            commands.add_parser(name, help=module.__doc__, description=module.__doc__)
        )
    args = parser.parse_args()
    try:
        code: int = modules[args.command].main(args)
    except BadData as error:
        print(error, file=sys.stderr)
        return 1
    except StoreUnavailable as error:
        print(f"the database cannot be used: {error}", file=sys.stderr)
        return 1
    except (BadSettings, KeysUnusable, NluCannotStart) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _load(given: list[str]) -> dict[str, ModuleType]:
    """The command that is given, or all of them where none is: some bring a whole library."""
    wanted = given[:1] if given[:1] and given[0] in _COMMANDS else _COMMANDS
    modules = {name: f"bot.commands.{name.replace('-', '_')}" for name in wanted}
    return {name: importlib.import_module(module) for name, module in modules.items()}


if __name__ == "__main__":
    sys.exit(main())
