"""Draws the pictures of the docs: `picture.py writings|thresholds FIGURES.json PICTURE.svg`.

Run by nlu's own Python, which has matplotlib through Rasa.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "motcua"
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

OURS, PEER = "#0b6e4f", "#b8b8b8"


def thresholds(points: Path, picture: Path) -> None:
    """One small picture a threshold, with its curves."""
    curves = json.loads(points.read_text("utf-8"))
    figure, places = plt.subplots(1, len(curves), figsize=(13, 3.2), layout="constrained")
    for axes, (title, lines) in zip(places, curves.items(), strict=True):
        for (name, line), colour in zip(lines.items(), (OURS, "#c0392b"), strict=False):
            axes.plot(*zip(*line, strict=True), label=name, color=colour)
        axes.set_title(title, fontsize=9)
        axes.set_ylim(-0.02, 1.02)
        axes.legend(fontsize=7, frameon=False)
        axes.grid(alpha=0.3)
    _save(figure, picture)


def writings(result: Path, picture: Path) -> None:
    """How often the intent is understood, one group of bars a way of writing, beside the peer's."""
    measured = json.loads(result.read_text("utf-8"))
    ways = list(measured["rows"])
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    for at, (name, rows, colour) in enumerate(
        (("motcua", measured["rows"], OURS), ("Rasa, DIET", measured["peer"], PEER))
    ):
        if not rows:
            continue
        places = [place + 0.4 * at for place in range(len(ways))]
        values = [100 * rows[writing]["intent"]["value"] for writing in ways]
        bars = axes.bar(places, values, 0.38, label=name, color=colour)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks([p + (0.2 if measured["peer"] else 0) for p in range(len(ways))], ways)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylim(40, 105)
    axes.set_ylabel("intent understood, of 100")
    axes.legend(loc="upper right", ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, picture)


def _save(figure: Figure, picture: Path) -> None:
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    draw = {"writings": writings, "thresholds": thresholds}[sys.argv[1]]
    draw(Path(sys.argv[2]), Path(sys.argv[3]))
