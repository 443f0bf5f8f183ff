"""Serves the gateway alone; nlu is to listen at MOTCUA_NLU_URL."""

import argparse
import asyncio
import contextlib
import errno
import signal
import socket
import sys

import uvloop
from aiohttp import web

from bot.clock import system_clock
from bot.gateway import Parts, assemble, build_house, create_app
from bot.settings import Settings, load_settings
from bot.store import Store
from bot.store.keys import KeyRing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes no arguments; settings are in the environment."""


def main(_args: argparse.Namespace) -> int:
    """Serves until it is stopped."""
    settings = load_settings()
    return uvloop.run(serve(open_parts(settings)))


def open_parts(settings: Settings) -> Parts:
    """Loads data, opens the key ring, and brings the database to its newest form."""
    house = build_house(settings)
    settings.var.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys, made = KeyRing.load_or_make(settings.keys)
    if made:
        print(f"made new keys in {settings.keys}: keep a copy, losing them loses the words")
    store = Store(settings.database, keys)
    store.migrate()
    return assemble(settings, house, store, system_clock)


async def serve(parts: Parts) -> int:
    """Serves until SIGINT or SIGTERM; 1 when the port is in use."""
    settings = parts.settings
    runner = web.AppRunner(create_app(parts), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        print(cannot_listen(settings, error), file=sys.stderr)
        return 1
    else:
        print(f"web chat: {settings.public_url or _address(settings)}", flush=True)
        await stopped()
    finally:
        await runner.cleanup()
        parts.store.close()
    return 0


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}/"


async def stopped() -> None:
    """Waits for SIGINT or SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stop.set)
    await stop.wait()


def cannot_listen(settings: Settings, error: OSError) -> str:
    """Why the gateway cannot listen, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} is in use: stop what listens there, or set MOTCUA_PORT"
    where = f"{settings.host} port {settings.port}"
    return f"cannot listen on {where} ({error.strerror}): set MOTCUA_HOST or MOTCUA_PORT"


def try_port(settings: Settings) -> None:
    """Raises OSError where the gateway could not listen now."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
