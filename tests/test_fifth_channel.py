"""A new channel is one file: found by being there, named nowhere else, and it works whole."""

import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from bot import channels
from bot.channel import channel_modules
from bot.gateway import assemble, create_app
from bot.settings import CHECKOUT, Settings
from bot.store import Store, outbox
from bot.turn import House
from tests.conftest import Clock
from tests.fakes.nlu import FakeNlu
from tests.fakes.visitor import running, until

SOURCE = CHECKOUT / "tests" / "fakes" / "fifth_channel.py"
Landed = list[dict[str, str]]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The file, in a folder of channels; nothing else is touched."""
    folder = tmp_path / "channels"
    folder.mkdir()
    shutil.copy(SOURCE, folder / "pigeon.py")
    monkeypatch.setattr(channels, "__path__", [*channels.__path__, str(folder)])
    yield
    sys.modules.pop("bot.channels.pigeon", None)
    if hasattr(channels, "pigeon"):
        delattr(channels, "pigeon")


@pytest.fixture
async def landed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Landed]:
    """A pigeon house, and what landed there."""
    letters: Landed = []

    async def land(request: web.Request) -> web.Response:
        letters.append(await request.json())
        return web.Response()

    house = web.Application()
    house.router.add_post("/", land)
    async with running(house) as url:
        monkeypatch.setenv("PIGEON_URL", url)
        yield letters


async def test_a_channel_that_is_one_file_brings_messages_in_and_replies_out(
    installed: None,
    landed: Landed,
    tmp_path: Path,
    house: House,
    store: Store,
    fake_nlu: FakeNlu,
    clock: Clock,
) -> None:
    fake_nlu.knows("chào", "greet")
    settings = Settings(_env_file=None, var=tmp_path, nlu_url=fake_nlu.url)
    app = create_app(assemble(settings, house, store, clock))
    letter = {"id": "1", "from": "lan", "at": clock().isoformat(), "text": "chào"}
    async with running(app) as url, ClientSession(url) as http:
        for _ in range(2):
            assert (await http.post("/pigeon", json=letter)).status == 200

        async def settled() -> bool:
            clock.move(seconds=1)
            states = [one.state for one in await store.run(outbox.unsettled, ("ready", "sent"))]
            return states == ["sent"]

        await until(settled)
    assert {letter["to"] for letter in landed} == {"lan"}
    assert max(len(letter["text"]) for letter in landed) <= 160
    told = "\n".join(letter["text"] for letter in landed)
    assert "1. Hỏi thủ tục hành chính" in told
    assert told.count("trợ lý tự động") == 1


def test_it_is_found_by_being_there_and_named_nowhere_else(installed: None) -> None:
    assert "bot.channels.pigeon" in {module.__name__ for module in channel_modules()}
    ours = [*(CHECKOUT / "bot").glob("**/*.py"), *(CHECKOUT / "actions").glob("**/*.py")]
    assert [path.name for path in ours if "pigeon" in path.read_text().lower()] == []
