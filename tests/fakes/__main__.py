"""Runs one fake platform by hand: what is typed is sent as citizen Lan, what she gets is printed.

telegram, zalo  prints the environment for `motcua serve`, then takes these lines:
/photo [words]  /file  /voice  /sticker  /location  /contact  /press LABEL  /block  /unblock
/later HOURS    moves the clock and delivers what is due
Zalo only:      /webhook URL  /follow  /unfollow  /chat  /withdraw  /officer WORDS  /consent LINK
Any other line, a command such as /start too, is sent as words. It ends with the input or Ctrl-C.

demo            plays the scenes of data/demo.yml on each platform, then stops
"""

import argparse
import asyncio
import shlex
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.demo import demo
from tests.fakes.platform import Platform, VirtualClock
from tests.fakes.seats import TOWNS, Seat, TelegramSeat, ZaloSeat
from tests.fakes.telegram import FakeTelegram
from tests.fakes.zalo import FakeZalo

PHONE = "84900000000"
Acts = dict[str, Callable[[str], Awaitable[Any]]]


def telegram() -> tuple[FakeTelegram, Seat, Acts]:
    """A fake Telegram, Lan, and what she can do."""
    fake = FakeTelegram(clock=VirtualClock(real=True))
    lan = fake.person(55, "Lan")
    return (
        fake,
        TelegramSeat(lan),
        {
            "": lan.says,
            "press": lan.presses,
            "photo": lan.sends_photo,
            "file": lambda _: lan.sends_file("don.pdf", b"%PDF-1.4", "application/pdf"),
            "voice": lambda _: lan.sends_voice(),
            "sticker": lambda _: lan.sends_sticker(),
            "location": lambda _: lan.shares_location(21.02, 105.85),
            "contact": lambda _: lan.shares_contact(f"+{PHONE}"),
            "block": lambda _: lan.blocks_bot(),
            "unblock": lambda _: lan.unblocks_bot(),
        },
    )


def zalo() -> tuple[FakeZalo, Seat, Acts]:
    """A fake Zalo Official Account, Lan, and what she, an officer and the console can do."""
    fake = FakeZalo(clock=VirtualClock(real=True))
    lan = fake.person("2000000000000000002", "Lan")

    async def refuse(code: int) -> None:
        lan.refuses_with = code

    async def consent(link: str) -> str:
        asked = parse_qs(urlsplit(link).query)
        given = {name: asked[name][0] for name in ("code_challenge", "state", "redirect_uri")}
        fake.consents(**given)
        return f"paste this: {fake.callback}"

    async def webhook(url: str) -> str:
        return f"the probe was answered {await fake.set_webhook(url)}"

    return (
        fake,
        ZaloSeat(lan),
        {
            "": lan.says,
            "press": lan.presses,
            "photo": lambda words: lan.sends_image(text=words),
            "file": lambda _: lan.sends_file(),
            "voice": lambda _: lan.sends_voice(),
            "sticker": lambda _: lan.sends_sticker(),
            "location": lambda _: lan.shares_location(text="Chợ Bình An"),
            "contact": lambda _: lan.submits_info(PHONE),
            "block": lambda _: refuse(-244),
            "unblock": lambda _: refuse(0),
            "webhook": webhook,
            "follow": lambda _: lan.follows(),
            "unfollow": lambda _: lan.unfollows(),
            "chat": lambda _: lan.clicks_chat_now(),
            "withdraw": lambda _: lan.withdraws(),
            "officer": lambda words: fake.officer_writes(lan, words),
            "consent": consent,
        },
    )


def environment_for(fake: FakeTelegram | FakeZalo) -> dict[str, str]:
    """The settings with which `motcua serve` works on a fake."""
    if isinstance(fake, FakeTelegram):
        return {
            "MOTCUA_TELEGRAM_TOKEN": fake.token,
            "MOTCUA_TELEGRAM_API_URL": fake.base_url,
            "MOTCUA_TELEGRAM_FILE_URL": fake.base_file_url,
        }
    return {
        "MOTCUA_ZALO_APP_ID": fake.app_id,
        "MOTCUA_ZALO_APP_SECRET": fake.app_secret,
        "MOTCUA_ZALO_OA_SECRET": fake.oa_secret,
        "MOTCUA_ZALO_OA_ID": fake.oa_id,
        "MOTCUA_ZALO_API": fake.api,
        "MOTCUA_ZALO_OAUTH": fake.oauth,
        "MOTCUA_ZALO_FILE_HOSTS": "127.0.0.1",
    }


NEXT = {
    "telegram": ["motcua serve"],
    "zalo": [
        "export MOTCUA_PUBLIC_URL=http://127.0.0.1:8080",
        "motcua zalo connect  # here: /consent LINK, there: what that gives",
        "motcua serve         # then here: /webhook http://127.0.0.1:8080/zalo",
    ],
}
"""What to type in the other terminal after the environment."""


async def act(fake: Platform, acts: Acts, line: str) -> None:
    """Does what a line says and prints what came of it."""
    name, _, words = line.removeprefix("/").partition(" ")
    try:
        if line.startswith("/later "):
            fake.clock.move(hours=float(words))
            return await fake.pump()
        if line.startswith("/") and name in acts and name:
            done = await acts[name](words.strip())
        else:
            done = await acts[""](line)
    except (LookupError, AssertionError, ValueError) as error:
        done = error
    if done is not None:
        print(f"  ({done})", flush=True)
    return None


async def show(fake: Platform, lan: Seat) -> None:
    """Prints each message that Lan gets as her app shows it, and each mistake of the caller."""
    heard = mistakes = 0
    while True:
        for one in lan.heard[heard:]:
            print(f"< {one}", flush=True)
        for mistake in fake.mistakes[mistakes:]:
            print(f"! {mistake}", flush=True)
        heard, mistakes = len(lan.heard), len(fake.mistakes)
        await asyncio.sleep(0.1)


def typed() -> asyncio.Queue[str]:
    """The lines of standard input as they come, and an empty one at its end."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(RuntimeError):
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    return lines


async def run(platform: str, port: int) -> None:
    """Serves one fake and does as typed until the input ends."""
    fake, seat, acts = telegram() if platform == "telegram" else zalo()
    async with fake.listening(port):
        for name, value in environment_for(fake).items():
            print(f"export {name}={shlex.quote(value)}")
        print(*NEXT[platform], sep="\n", end="\n\n", flush=True)
        showing = asyncio.create_task(show(fake, seat))
        lines = typed()
        while line := await lines.get():
            if line.strip():
                await act(fake, acts, line.strip())
        await asyncio.sleep(0.2)
        showing.cancel()


def main() -> int:
    """Reads the command line."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tests.fakes", description=__doc__, formatter_class=layout
    )
    parser.add_argument("platform", choices=["telegram", "zalo", "demo"])
    parser.add_argument("on", nargs="?", choices=list(TOWNS), help="of demo: on which; both")
    parser.add_argument("--port", type=int, default=0, help="of loopback; 0: any free one")
    asked = parser.parse_args()
    with suppress(KeyboardInterrupt):
        if asked.platform == "demo":
            return asyncio.run(demo([asked.on] if asked.on else list(TOWNS)))
        asyncio.run(run(asked.platform, asked.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
