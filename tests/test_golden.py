"""What leaves for a platform is what was agreed: a change of a request is a change of a file."""

from pathlib import Path

import pytest

from bot.gateway import assemble
from bot.settings import Settings
from bot.store import Store
from bot.turn import House
from tests.fakes.nlu import FakeNlu
from tests.fakes.platform import VirtualClock
from tests.golden import SENDS, kept, recorded


@pytest.mark.parametrize("channel", SENDS)
async def test_requests_stand_on_the_wire_as_they_were_agreed(
    channel: str, tmp_path: Path, house: House, store: Store, fake_nlu: FakeNlu
) -> None:
    clock = VirtualClock()
    settings = Settings(_env_file=None, var=tmp_path, nlu_url=fake_nlu.url)
    made = await recorded(channel, assemble(settings, house, store, clock), clock)
    assert made == kept(channel), "meant? write them anew: python -m tests.golden"
