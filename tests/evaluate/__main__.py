"""How much is understood: `python -m tests.evaluate [FILE.jsonl…]`.

Without files it opens the blind set (tests/blind), prints the table and writes var/evaluate.json,
docs/images/understanding.svg, its part of docs/benchmarks.md and the hashes of the blind set.
With files it only prints.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bot.settings import CHECKOUT, load_settings
from tests.bench import report
from tests.evaluate import apart, page, peer
from tests.evaluate.hearing import Listener, hear, listener, peers
from tests.evaluate.messages import WRITTEN, BadLine, Marked, blind, read
from tests.evaluate.rows import confusions, misses, rows

RESULT = CHECKOUT / "var" / "evaluate.json"
PICTURE = CHECKOUT / "docs" / "images" / "understanding.svg"


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 where a file cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="JSON Lines of marked messages")
    parser.add_argument("--misses", action="store_true", help="print every message that is missed")
    options = parser.parse_args(arguments)
    try:
        messages = read(options.files) if options.files else blind()
    except (OSError, BadLine) as error:
        print(f"cannot evaluate: {error}", file=sys.stderr)
        return 2
    settings = load_settings()
    ears = listener(settings)
    heard = asyncio.run(hear(messages, settings, ears))
    measured = {writing: rows(its) for writing, its in heard.items()}
    wrong = confusions(heard[WRITTEN])
    print(page.table(measured), "\n\n" + page.confusions_table(wrong))
    if options.misses:
        print("\n".join(misses(heard[WRITTEN])))
    if not options.files:
        _keep(messages, measured, wrong, ears)
    return 0


def _keep(
    messages: list[Marked],
    measured: page.Rows,
    wrong: list[tuple[str, str, int]],
    ears: Listener,
) -> None:
    """Writes what was measured, beside the peer's kept answers where there are some."""
    apart.write(messages)
    kept = peer.kept(messages)
    theirs = {w: rows(its) for w, its in peers(messages, kept.told).items()} if kept else {}
    result: dict[str, Any] = {
        "questions": len(messages),
        "strangers": ears.strangers,
        "rows": page.plain(measured),
        "peer": page.plain(theirs),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    report.write_part(page.part(result, measured, theirs, wrong, kept), below=True)
    page.draw("writings", RESULT, PICTURE)


if __name__ == "__main__":
    sys.exit(main())
