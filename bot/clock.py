"""The clock of the running assistant, and waiting by it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The present moment; the only place that reads the machine's clock."""
    return datetime.now(UTC)


async def rest(wake: asyncio.Event, seconds: float) -> None:
    """Waits until woken, or for so long.

    Not by `wait_for`, which Python 3.11 lets swallow a cancellation that comes just after the wake.
    """
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
    wake.clear()
