"""Draws how often the intent is understood, by way of writing, ours beside the peer's.

Run by nlu's own Python, which has matplotlib through Rasa: picture.py RESULT.json PICTURE.svg
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "motcua"
import matplotlib.pyplot as plt  # noqa: E402

OURS, PEER = "#0b6e4f", "#b8b8b8"


def main(result: Path, picture: Path) -> None:
    """One group of bars a way of writing."""
    measured = json.loads(result.read_text("utf-8"))
    writings = list(measured["rows"])
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    for at, (name, rows, colour) in enumerate(
        (("motcua", measured["rows"], OURS), ("Rasa, DIET", measured["peer"], PEER))
    ):
        if not rows:
            continue
        places = [place + 0.4 * at for place in range(len(writings))]
        values = [100 * rows[writing]["intent"]["value"] for writing in writings]
        bars = axes.bar(places, values, 0.38, label=name, color=colour)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks([p + (0.2 if measured["peer"] else 0) for p in range(len(writings))], writings)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylim(40, 105)
    axes.set_ylabel("intent understood, of 100")
    axes.legend(loc="lower left", ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
