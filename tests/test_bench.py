"""The bench's report: what was measured comes out of it, as ratios, and nothing else."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nlu.sentences import Sentence
from tests.bench import report
from tests.bench.burst import Burst, Kept
from tests.bench.machine import Machine
from tests.bench.measure import Load
from tests.bench.peer_project import sample
from tests.bench.profile_turn import Profile, Step
from tests.bench.results import ALWAYS, Figure, Results, growth_figure

MACHINE = Machine("A processor", 2, 24.0, "Linux 6", 0.1, "3.11.7", "3.11.9", "3.6.21", "3.45")
KEPT = Kept(3000, 3000, 3000, 3001, without_turn=0, without_reply=0)
BURST = Burst(3000, 150, 3150, 12.0, 80.0, 95.0, 3.0, 25.0, KEPT)
PROFILE = Profile(
    50, 21.5, 1.5, [Step("turn.take_turn", 1.0, 0.5, 2.5, 0.1, 0.4)], 9.0, 8.0, 0.5, 2.0, 0.2
)
FIGURES = [
    Figure("parse_median", "one parse", "ms", "lower", [2.0, 3.0, 4.0], [30.0, 30.0, 20.0]),
    Figure("parse_throughput", "parses", "parses/s", "higher", [400.0], [50.0], 3.0),
    Figure("turn_median", "a turn", "ms", "lower", [20.0], [50.0], 3.0),
    Figure("turn_throughput", "turns", "turns/s", "higher", [150.0], [25.0], 5.0),
]
GROWTH = {"ours": [10.0] * 500, "peer (a)": [float(at) for at in range(100, 230)]}


@pytest.fixture
def results() -> Results:
    loads = {"ours": Load(150.0, {"our gateway": 6.0}, {"our gateway": 0.97, "our nlu": 0.4})}
    figures = [*FIGURES, growth_figure(GROWTH, "ours", "peer (a)")]
    return Results(
        datetime(2026, 11, 24, 9, 30, tzinfo=UTC), 4.2, True, MACHINE, False,
        figures, GROWTH, loads, {"our gateway": 150.0}, {"web": 90}, BURST, PROFILE,
    )  # fmt: skip


@pytest.fixture
def written(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ROWS", "DETAILS", "PAGE"):
        monkeypatch.setattr(report, name, tmp_path / getattr(report, name).name)
    report.write(results)
    return tmp_path


def test_each_asked_name_is_there_with_its_ratio(written: Path) -> None:
    rows = {row["name"]: row for row in json.loads((written / "bench.json").read_text())}
    assert set(ALWAYS) < rows.keys()
    asked = {"name", "unit", "ours", "peer", "better", "times_better"}
    assert all(asked <= row.keys() for row in rows.values())
    assert rows["parse_median"]["times_better"] == pytest.approx(10.0)
    assert rows["parse_throughput"]["times_better"] == pytest.approx(8.0)


def test_growth_is_compared_only_as_far_as_both_sides_came(written: Path) -> None:
    rows = {row["name"]: row for row in json.loads((written / "bench.json").read_text())}
    growth = rows["turn_growth"]
    assert "messages 101–120" in growth["what"]
    assert (growth["ours"], growth["peer"]) == (1.0, pytest.approx(209.5 / 109.5, abs=0.001))


def test_page_tells_machine_day_and_every_row_and_what_was_missed(written: Path) -> None:
    page = (written / "benchmarks.md").read_text()
    for told in ("2026-11-24 09:30 UTC", "A processor, 2 cores, 24 GB", "Rasa 3.6.21"):
        assert told in page
    assert all(f"`{name}`" in page for name in ALWAYS)
    assert "≥ 3: **not reached**" in page
    assert "≥ 5: reached" in page
    assert "| 481–500 | 10.0 | not reached |" in page
    assert "ours 500, peer (a) 130" in page
    assert "| acknowledged | 3150 of 3150 |" in page
    assert "| lost | 0 |" in page
    assert "| `turn.take_turn` | 1.0 | 0.50 | 2.50 | 0.10 | 0.40 |" in page
    assert "For one citizen it is Python in transactions." in page
    assert "the limit is our gateway" in page
    assert "before the burst: ours 90, (b) 0." in page


def test_a_lost_and_a_doubled_update_are_counted() -> None:
    kept = Kept(2998, 3001, 2999, 2997, without_turn=1, without_reply=2)
    burst = Burst(3000, 150, 3149, 1.0, 1.0, 1.0, 1.0, 1.0, kept)
    assert (burst.lost, burst.doubled) == (5, 4)


def test_sample_is_fixed_spread_over_intents_and_of_that_size() -> None:
    given = [Sentence(f"câu {at}", intent) for intent in ("a", "b") for at in range(400)]
    given += [Sentence("chỉ một câu", "c"), Sentence("có [ngoặc](a)", "d")]
    chosen = sample(given, 500)
    assert chosen == sample(given, 500)
    counts = [sum(s.intent == intent for s in chosen) for intent in "abcd"]
    assert counts == [250, 249, 1, 0]
    assert len({s.text for s in chosen if s.intent == "a"}) == 250
