"""The command line: `motcua <command>`."""

import argparse
import logging
import os
import sys
from types import ModuleType

from actions.knowledge import BadData
from bot.commands import (
    ask,
    cases,
    chat,
    check,
    demo,
    outbox,
    parse,
    rasa,
    run,
    serve,
    telegram,
    zalo,
)
from bot.nlu_process import NluCannotStart
from bot.settings import BadSettings
from bot.store import StoreUnavailable
from bot.store.keys import KeysUnusable

_COMMANDS: dict[str, ModuleType] = {
    "run": run,
    "serve": serve,
    "check": check,
    "parse": parse,
    "ask": ask,
    "chat": chat,
    "cases": cases,
    "outbox": outbox,
    "demo": demo,
    "telegram": telegram,
    "zalo": zalo,
    "rasa": rasa,
}


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
    for name, module in _COMMANDS.items():
        module.add_arguments(
            commands.add_parser(name, help=module.__doc__, description=module.__doc__)
        )
    args = parser.parse_args()
    try:
        code: int = _COMMANDS[args.command].main(args)
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


if __name__ == "__main__":
    sys.exit(main())
