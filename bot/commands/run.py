"""Runs everything on this machine: nlu as a child process, then the gateway."""

import argparse
import asyncio
import sys

from bot.commands.serve import open_parts, port_is_free, serve
from bot.gateway import Parts
from bot.nlu_process import NluProcess, make_token
from bot.settings import Settings
from bot.understanding import Nlu


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes no arguments; settings are in the environment."""


def main(_args: argparse.Namespace) -> int:
    """Runs until Ctrl-C and leaves no process behind."""
    settings = Settings()
    if settings.port and not port_is_free(settings.host, settings.port):
        print(
            f"port {settings.port} is in use: stop what listens there, or set MOTCUA_PORT",
            file=sys.stderr,
        )
        return 1
    return asyncio.run(_run(open_parts(settings)))


async def _run(parts: Parts) -> int:
    settings = parts.settings
    process = NluProcess(settings)
    make_token(settings)
    print("starting nlu (about ten seconds) …", flush=True)
    try:
        async with Nlu(settings.nlu_url, settings.nlu_token, settings.nlu_timeout) as probe:
            await process.start(probe)
        watch = asyncio.create_task(process.keep_alive())
        try:
            return await serve(parts)
        finally:
            watch.cancel()
    finally:
        await process.stop()
