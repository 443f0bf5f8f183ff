"""Letters that a courier gave up or lost sight of: lists, retries and drops them."""

import argparse
import sys
from datetime import timedelta

from bot.clock import system_clock
from bot.plain import printable
from bot.settings import load_settings
from bot.store import Session, Store, audit, outbox
from bot.store.keys import KeyRing

_SOON = timedelta(minutes=1)
"""Letters that are younger are on their way."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One of: list, retry, drop."""
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("list", help="letters that are dead or of unknown outcome, without their words")
    retry = what.add_parser("retry", help="lets letters leave again; they may arrive twice")
    retry.add_argument("ids", type=int, nargs="+", metavar="ID")
    drop = what.add_parser("drop", help="takes letters out of the queue for good")
    drop.add_argument("ids", type=int, nargs="+", metavar="ID")


def main(args: argparse.Namespace) -> int:
    """Does one thing with the outbox; 1 when a letter was not there."""
    settings = load_settings()
    store = Store(settings.database, KeyRing.load(settings.keys))
    store.migrate()
    try:
        if args.what == "list":
            return _list(store)
        done = [store.run_here(_change, args.what, id_) for id_ in args.ids]
        for id_ in [id_ for id_, changed in zip(args.ids, done, strict=True) if not changed]:
            print(f"{id_}: no such letter that could be changed", file=sys.stderr)
        return 0 if all(done) else 1
    finally:
        store.close()


def _list(store: Store) -> int:
    for waits in store.run_here(outbox.waiting, system_clock() - _SOON):
        print(
            f"{waits.channel}: {waits.letters} letters wait, the oldest since "
            f"{waits.oldest:%Y-%m-%d %H:%M}Z; {waits.out_of_reach} of them for people out of reach"
        )
    letters = store.run_here(outbox.unsettled)
    for letter in letters:
        reason = printable(letter.error or "")
        print(
            f"{letter.id}  {letter.created_at:%Y-%m-%d %H:%M}Z  {letter.channel:<10} "
            f"{letter.kind:<7} {letter.state:<8} {letter.attempts} tries  {reason}"
        )
    if not letters:
        print("nothing needs to be looked at")
    return 0


def _change(session: Session, what: str, row_id: int) -> bool:
    now = system_clock()
    changed = (
        outbox.retry(session, row_id, now)
        if what == "retry"
        else outbox.drop(session, row_id, "dropped by an operator")
    )
    if changed:
        audit.note(session, "operator", f"outbox_{what}", f"outbox {row_id}", now)
    return changed
