"""Processes of the bench: started, waited for, looked at, and ended whatever happens."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

CHECKOUT = Path(__file__).resolve().parent.parent.parent
BENCH = CHECKOUT / "var" / "bench"
PYTHON = CHECKOUT / ".venv" / "bin" / "python"
NLU_PYTHON = CHECKOUT / "nlu" / ".venv" / "bin" / "python"

_STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchBroken(Exception):  # noqa: N818 - a fact, not a failure
    """The bench cannot go on, or what it measured does not count; says why."""


@dataclass(frozen=True)
class Child:
    """A running process; what it prints goes to its log."""

    name: str
    running: asyncio.subprocess.Process
    log: Path

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far, in its own code and in the kernel's."""
        fields = Path(f"/proc/{self.running.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_megabytes(self) -> float:
        """Memory that it holds now."""
        pages = int(Path(f"/proc/{self.running.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    async def until(self, ready: Callable[[], Awaitable[bool]], within: float) -> None:
        """Waits until it serves; raises BenchBroken when it ends first, or takes too long."""
        deadline = asyncio.get_running_loop().time() + within
        while not await ready():
            if self.running.returncode is not None:
                code = self.running.returncode
                raise BenchBroken(f"{self.name} ended with code {code}:\n{self.last_words()}")
            if asyncio.get_running_loop().time() > deadline:
                raise BenchBroken(f"{self.name} was not ready in {within:.0f} s: see {self.log}")
            await asyncio.sleep(0.1)

    async def success(self, *, within: float) -> None:
        """Waits until it has ended; raises BenchBroken when it failed, or takes too long."""
        try:
            code = await asyncio.wait_for(self.running.wait(), within)
        except TimeoutError as error:
            raise BenchBroken(
                f"{self.name} took more than {within:.0f} s: see {self.log}"
            ) from error
        if code != 0:
            raise BenchBroken(f"{self.name} ended with code {code}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])


@asynccontextmanager
async def child(
    name: str, command: Sequence[object], cwd: Path, more: Mapping[str, str]
) -> AsyncIterator[Child]:
    """A process in a group of its own for as long as it is needed; without our settings."""
    log = BENCH / "logs" / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MOTCUA_")}
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            *map(str, command),
            cwd=cwd,
            env=kept | dict(more),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield Child(name, running, log)
    finally:
        await asyncio.shield(_end(running))


async def _end(running: asyncio.subprocess.Process) -> None:
    """Politely first, then for certain, with all that it started."""
    if running.returncode is None:
        _signal(running.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(running.wait(), _STOP_SECONDS)
    _signal(running.pid, signal.SIGKILL)
    await running.wait()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


async def answers(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether an address answers 200."""
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError):
        return False


def free_port() -> int:
    """A loopback port on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
