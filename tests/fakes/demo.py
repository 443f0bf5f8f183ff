"""The scenes of `data/demo.yml` as citizens of each messenger see them, through a whole gateway."""

import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from bot.commands.demo import Officer, Scene, load_scenes
from bot.gateway import Parts, assemble, build_house
from bot.nlu_process import some_nlu
from bot.settings import Settings, load_settings
from bot.store import Store, outbox
from bot.store.keys import KeyRing
from bot.turn import House
from tests.fakes.platform import VirtualClock
from tests.fakes.seats import TOWNS, Open, Seat, Seen, Town, telegram_town
from tests.fakes.visitor import codes_in

WAYS: dict[str, Open] = {**TOWNS, "telegram, fetching": partial(telegram_town, fetches=True)}
"""Each messenger, and each way in which its messages come."""


async def demo(ways: Iterable[str]) -> int:
    """Plays every scene on every platform, and prints it; 1 when something went wrong."""
    settings = load_settings()
    house, scenes = build_house(settings), load_scenes(settings)
    async with some_nlu(settings) as nlu:
        own = settings.model_copy(update={"nlu_url": nlu.url})
        for way in ways:
            if wrong := await play(way, own, house, scenes):
                print(f"\n{way}: {wrong}")
                return 1
    return 0


async def play(way: str, settings: Settings, house: House, scenes: Sequence[Scene]) -> str:
    """Plays the scenes in a throw-away installation; says what went wrong, if anything did."""
    clock = VirtualClock(real=True)
    async with _throw_away(settings, house, clock) as parts, WAYS[way](parts, clock) as town:
        for scene in scenes:
            print(f"\n=== {way}: {scene.title} ===")
            await _play(town, scene)
        dead = await parts.store.run(outbox.unsettled)
        return f"letters that did not arrive: {dead}" if dead else "\n".join(town.fake.mistakes)


@asynccontextmanager
async def _throw_away(
    settings: Settings, house: House, clock: VirtualClock
) -> AsyncIterator[Parts]:
    with tempfile.TemporaryDirectory(prefix="motcua-") as folder:
        url = f"sqlite:///{Path(folder) / 'demo.db'}"
        store = Store(url, KeyRing.fresh(), durable=False)
        store.migrate()
        yield assemble(settings, house, store, clock)
        store.close()


async def _play(town: Town, scene: Scene) -> None:
    lan, code, seen = town.newcomer(), "", list[Seen]()
    for line in scene.turns:
        if isinstance(line, Officer):
            print(f"\n[cán bộ] {line.officer}")
            seen = await town.hears(lan, town.officer_answers(code, line.officer))
        else:
            seen = await _says(town, lan, line.replace("{code}", code), seen)
        for one in seen:
            print(f"\n[trợ lý]\n{one}")
        assert seen, "nothing was answered"
        code = next(iter(codes_in("\n".join(one.words for one in seen))), code)


async def _says(town: Town, lan: Seat, text: str, seen: Sequence[Seen]) -> list[Seen]:
    """Presses the button that says so, where there is one, and else writes it."""
    if any(text in one.buttons for one in seen):
        print(f"\n[người dân bấm] [{text}]")
        return await town.hears(lan, lan.presses(text))
    print(f"\n[người dân] {text}")
    return await town.hears(lan, lan.says(text))
