"""Resting: until woken or for so long, and never past a cancellation."""

import asyncio

import pytest

from bot.clock import rest


async def test_a_rest_ends_with_its_time_or_when_woken() -> None:
    wake = asyncio.Event()
    await rest(wake, 0.01)
    wake.set()
    await rest(wake, 60)
    assert not wake.is_set()


@pytest.mark.parametrize("steps", range(5))
async def test_who_is_cancelled_just_after_being_woken_ends(steps: int) -> None:
    async def work() -> None:
        while True:
            await rest(wake, 60)

    wake = asyncio.Event()
    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    wake.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    working.cancel()
    done, _ = await asyncio.wait({working}, timeout=1)
    assert done == {working}
