"""Writes the golden files anew; look at the difference before it is committed."""

import asyncio
import json
import tempfile
from pathlib import Path

from bot.gateway import assemble, build_house
from bot.settings import Settings
from bot.store import Store
from bot.store.keys import KeyRing
from tests.fakes.platform import VirtualClock
from tests.golden import FOLDER, SENDS, recorded


async def main() -> None:
    """Records every channel in a throw-away installation."""
    for channel in SENDS:
        with tempfile.TemporaryDirectory(prefix="motcua-") as folder:
            settings = Settings(_env_file=None, var=Path(folder))
            store = Store(f"sqlite:///{folder}/golden.db", KeyRing.fresh(), durable=False)
            store.migrate()
            clock = VirtualClock()
            parts = assemble(settings, build_house(settings), store, clock)
            goldens = await recorded(channel, parts, clock)
            store.close()
        (FOLDER / channel).mkdir(exist_ok=True)
        for old in (FOLDER / channel).glob("*.json"):
            old.unlink()
        for name, golden in goldens.items():
            text = json.dumps(golden, ensure_ascii=False, indent=2)
            (FOLDER / channel / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
