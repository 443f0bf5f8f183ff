"""nlu as a child process: started, waited for, started again when it dies, stopped."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bot.settings import CHECKOUT, Settings
from bot.store.keys import write_private
from bot.understanding import Nlu

log = logging.getLogger(__name__)

_SERVE = (str(CHECKOUT / "nlu" / ".venv" / "bin" / "python"), "-m", "nlu.serve")
_START_SECONDS = 120.0
_ASK_AGAIN_SECONDS = 0.2
_STOP_SECONDS = 5.0
_LONGEST_REST = 30.0


class NluCannotStart(Exception):  # noqa: N818 - a fact, not a failure
    """nlu is not set up, its model does not load, or its port is taken; says what to do."""


def make_token(settings: Settings) -> None:
    """Draws the token that nlu asks for, where there is none yet."""
    if not settings.nlu_token.exists():
        with contextlib.suppress(FileExistsError):
            write_private(settings.nlu_token, secrets.token_urlsafe(32))


def free_port() -> int:
    """A loopback port on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class NluProcess:
    """One nlu child on a loopback port."""

    def __init__(self, settings: Settings, command: Sequence[str] = _SERVE) -> None:
        self._settings = settings
        self._command = command
        self._port = urlsplit(settings.nlu_url).port or 5005
        self._child: asyncio.subprocess.Process | None = None

    async def start(self, nlu: Nlu) -> None:
        """Starts the child and waits until it understands; raises NluCannotStart."""
        if not _installed(self._command[0]):
            raise NluCannotStart("nlu is not set up: run `make setup` first")
        if _taken(self._port):
            raise NluCannotStart(
                f"port {self._port} is in use: stop what listens there, "
                f"or set MOTCUA_NLU_URL=http://127.0.0.1:<another port>"
            )
        make_token(self._settings)
        self._child = await self._spawn()
        await self._wait_until_ready(nlu)

    async def keep_alive(self) -> None:
        """Starts the child again whenever it dies, with longer and longer rests."""
        now = asyncio.get_running_loop().time
        rest = 1.0
        while True:
            assert self._child is not None
            started = now()
            code = await self._child.wait()
            rest = 1.0 if now() - started > _LONGEST_REST else min(rest * 2, _LONGEST_REST)
            log.warning("nlu ended with code %s: starting it again in %.0f s", code, rest)
            await asyncio.sleep(rest)
            try:
                self._child = await self._spawn()
            except OSError as error:
                log.warning("nlu cannot be started: %s", type(error).__name__)

    async def stop(self) -> None:
        """Ends the child: politely first, then for certain."""
        if self._child is None or self._child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._child.wait(), _STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            "--model",
            str(self._settings.model),
            "--port",
            str(self._port),
            "--token-file",
            str(self._settings.nlu_token),
            "--parent",
            str(os.getpid()),
            cwd=CHECKOUT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the gateway, which stops nlu last
        )

    async def _wait_until_ready(self, nlu: Nlu) -> None:
        assert self._child is not None
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self._child.returncode is not None:
                raise NluCannotStart("nlu did not start: what it said stands above")
            if await nlu.ready():
                return
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
        raise NluCannotStart(f"nlu was not ready within {_START_SECONDS:.0f} s: run `make train`")


def _installed(program: str) -> bool:
    return Path(program).exists()


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def some_nlu(settings: Settings) -> AsyncIterator[Nlu]:
    """An nlu to ask: the one that listens already, or one of our own for as long as needed."""
    make_token(settings)
    async with Nlu(settings.nlu_url, settings.nlu_token, settings.nlu_timeout) as running:
        if await running.ready():
            yield running
            return
    own = settings.model_copy(update={"nlu_url": f"http://127.0.0.1:{free_port()}"})
    process = NluProcess(own)
    async with Nlu(own.nlu_url, own.nlu_token, own.nlu_timeout) as nlu:
        try:
            await process.start(nlu)
            yield nlu
        finally:
            await process.stop()
