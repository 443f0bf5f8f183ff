"""The Zalo Official Account: connects it, and shows how it stands."""

import argparse
import asyncio
import secrets
import sys
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from actions.deadlines import VIETNAM
from bot.channel import OutcomeUnknown, TryLater
from bot.channels.zalo.client import (
    NOT_CONNECTED,
    Tokens,
    consent_link,
    draw_verifier,
    exchanged,
)
from bot.channels.zalo.events import CHANNEL
from bot.channels.zalo.refusals import ZaloRefused
from bot.channels.zalo.settings import ZaloSettings, load_zalo_settings
from bot.clock import system_clock
from bot.settings import BadSettings, Settings, load_settings
from bot.store import Session, Store, accounts, outbox, strays
from bot.store.keys import KeyRing


class NotConnected(Exception):  # noqa: N818 - a fact, not a failure
    """The account could not be connected, and why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One of: connect, status."""
    what = parser.add_subparsers(dest="what", required=True)
    connect = what.add_parser("connect", help="asks an administrator's consent and keeps tokens")
    connect.add_argument(
        "--call-back",
        help="the address to which Zalo sends the browser back, as entered in Zalo's console; "
        "without it MOTCUA_PUBLIC_URL followed by /zalo",
    )
    what.add_parser("status", help="the account, its token, its trouble, and unknown events")


def main(args: argparse.Namespace) -> int:
    """Connects the account or shows how it stands; trouble is told in a sentence."""
    settings, zalo = load_settings(), load_zalo_settings()
    if zalo is None:
        raise BadSettings("MOTCUA_ZALO_APP_ID is not set: see docs/channels/zalo.md")
    settings.var.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys, _ = KeyRing.load_or_make(settings.keys)
    store = Store(settings.database, keys)
    store.migrate()
    try:
        if args.what == "status":
            print("\n".join(store.run_here(_status, zalo)))
        else:
            _connect(settings, zalo, store, args.call_back)
    except NotConnected as error:
        print(f"not connected: {error}", file=sys.stderr)
        return 1
    finally:
        store.close()
    return 0


def _connect(settings: Settings, zalo: ZaloSettings, store: Store, call_back: str | None) -> None:
    webhook = _webhook(settings.public_url, zalo)
    address = call_back or webhook
    verifier, state = draw_verifier(), secrets.token_urlsafe(16)
    print("1. As an administrator of the account, open this link and agree (within 10 minutes):\n")
    print(f"   {consent_link(zalo, address, verifier, state)}\n")
    print("2. The browser is then sent to the call-back address; no page need be there.")
    print("   Paste the whole address from its address bar here, or only the code:", flush=True)
    code = read_code(sys.stdin.readline(), state, zalo.oa_id)
    tokens = _tokens(zalo, code, verifier, system_clock())
    store.run_here(_keep, zalo.oa_id, tokens, system_clock())
    print(f"\nConnected: account {zalo.oa_id}. The tokens are kept sealed and renew themselves.")
    print("In Zalo's console for developers, once the gateway runs:")
    print(f" - page Webhook: enter {webhook} and let Zalo check it")
    print(" - switch on the events of people's messages, follow, unfollow, user_click_chatnow,")
    print("   user_submit_info, user_withdraw, and the account's own messages (oa_send_...)")
    print(' - switch the syntax filter ("Loc cu phap") off, or free text never arrives')
    print("See how it stands with: motcua zalo status")


def _keep(session: Session, oa_id: str, tokens: Tokens, now: datetime) -> None:
    """Keeps the tokens; letters that waited for them leave at once."""
    accounts.keep_secrets(session, CHANNEL, oa_id, tokens.to_keep())
    outbox.hurry(session, CHANNEL, oa_id, now)


def _webhook(public_url: str, zalo: ZaloSettings) -> str:
    if not public_url:
        raise BadSettings("MOTCUA_PUBLIC_URL is not set: Zalo needs an address with https://")
    if zalo.api.startswith("https://") and not public_url.startswith("https://"):
        raise BadSettings("MOTCUA_PUBLIC_URL: Zalo needs an address with https://")
    return f"{public_url.rstrip('/')}/zalo"


def read_code(given: str, state: str, oa_id: str) -> str:
    """The code in what was pasted: a whole call-back address, or the code; raises NotConnected."""
    text = given.strip()
    if not text:
        raise NotConnected("nothing was pasted")
    if "://" not in text and "?" not in text:
        return text
    try:
        asked = parse_qs(urlsplit(text).query)
    except ValueError:
        raise NotConnected("what was pasted is no address") from None
    if asked.get("state") != [state]:
        raise NotConnected("the address belongs to another link (state differs): start again")
    if asked.get("oa_id") != [oa_id]:
        raise NotConnected("consent was given for another account than MOTCUA_ZALO_OA_ID")
    codes = asked.get("code", [])
    if len(codes) != 1:
        raise NotConnected("the address has no code")
    return codes[0]


def _tokens(zalo: ZaloSettings, code: str, verifier: str, now: datetime) -> Tokens:
    try:
        return asyncio.run(exchanged(zalo, code, verifier, now))
    except ZaloRefused as refusal:
        raise NotConnected(
            f"Zalo refused the code ({refusal.code}): it works once, for 10 minutes; "
            "check MOTCUA_ZALO_APP_ID and MOTCUA_ZALO_APP_SECRET, then start again"
        ) from None
    except (TryLater, OutcomeUnknown) as error:
        raise NotConnected(f"{error}: start again") from None


def _status(session: Session, zalo: ZaloSettings) -> list[str]:
    tokens = Tokens.kept(accounts.secrets(session, CHANNEL, zalo.oa_id))
    trouble = accounts.of(session, CHANNEL, zalo.oa_id).trouble
    kept = strays.counts(session, CHANNEL)
    return [
        f"account: {zalo.oa_id} (app {zalo.app_id})",
        f"access: {_access(tokens)}",
        f"trouble: {trouble or 'none'}",
        f"events kept and not acted on: {sum(kept.values())}",
        *(f"  {name}: {number}" for name, number in kept.items()),
    ]


def _access(tokens: Tokens | None) -> str:
    if tokens is None:
        return NOT_CONNECTED
    return f"token until {tokens.ends_at.astimezone(VIETNAM):%d/%m/%Y %H:%M} (Vietnamese time)"
