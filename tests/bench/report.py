"""The files made from a run: var/bench.json, docs/benchmarks.md, and every detail."""

import json
from dataclasses import asdict
from typing import Any

from tests.bench.page import page
from tests.bench.processes import CHECKOUT
from tests.bench.results import ALWAYS, Results

ROWS = CHECKOUT / "var" / "bench.json"
DETAILS = CHECKOUT / "var" / "bench" / "details.json"
PAGE = CHECKOUT / "docs" / "benchmarks.md"
MARK = "<!-- Below: made by `make evaluate`. -->"


def write(results: Results) -> None:
    """Writes all three; what the page does not tell stands in the details."""
    rows = [figure.row() for figure in results.figures]
    missing = set(ALWAYS) - {row["name"] for row in rows}
    assert not missing, f"not measured: {missing}"
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    ROWS.write_text(_json(rows), "utf-8")
    DETAILS.parent.mkdir(parents=True, exist_ok=True)
    DETAILS.write_text(_json(asdict(results)), "utf-8")
    write_part(page(rows, results), below=False)


def write_part(text: str, *, below: bool) -> None:
    """Replaces one part of docs/benchmarks.md: the bench's above the mark, or what is below it."""
    before, _, after = PAGE.read_text("utf-8").partition(MARK) if PAGE.exists() else ("", "", "")
    above, under = (before, text) if below else (text, after)
    PAGE.write_text(f"{above.strip()}\n\n{MARK}\n\n{under.strip()}\n", "utf-8")


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, default=str) + "\n"
