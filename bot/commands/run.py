"""Runs everything on this machine: nlu as a child process, then the gateway."""

import argparse
import asyncio
import signal
import sys

import uvloop

from bot.commands.serve import cannot_listen, open_parts, serve, try_port
from bot.gateway import Parts
from bot.nlu_process import NluProcess, make_token
from bot.settings import load_settings
from bot.understanding import Nlu


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes no arguments; settings are in the environment."""


def main(_args: argparse.Namespace) -> int:
    """Runs until Ctrl-C and leaves no process behind."""
    settings = load_settings()
    try:
        try_port(settings)
    except OSError as error:
        print(cannot_listen(settings, error), file=sys.stderr)
        return 1
    try:
        return uvloop.run(_run(open_parts(settings)))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM


async def _run(parts: Parts) -> int:
    settings = parts.settings
    _stop_on_sigterm()
    process = NluProcess(settings)
    make_token(settings)
    print("starting nlu …", flush=True)
    try:
        async with Nlu(settings.nlu_url, settings.nlu_token, settings.nlu_timeout) as probe:
            await process.start(probe)
        watch = asyncio.create_task(process.keep_alive())
        try:
            return await serve(parts)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
    finally:
        await process.stop()


def _stop_on_sigterm() -> None:
    """Until the gateway serves and hears SIGTERM itself; nlu must not outlive a start cut short."""
    starting = asyncio.current_task()
    assert starting is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, starting.cancel)
