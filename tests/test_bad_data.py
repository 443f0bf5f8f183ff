"""Every mistake in a data file is told with the file, the field and the mend.

Each folder of `bad_data/` holds one file with one mistake, laid over the small sound knowledge of
`bad_data/sound/`, and the words that its error must hold (`error.txt`).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actions.knowledge import BadData, Knowledge
from bot.__main__ import main
from bot.dialogue import load_ears, load_intents
from bot.replies import Replies
from bot.settings import CHECKOUT
from bot.turn import House

CASES = Path(__file__).parent / "bad_data"
SOUND = CASES / "sound"
DATA = CHECKOUT / "data"
MISTAKES = sorted(folder.name for folder in CASES.iterdir() if folder != SOUND)


def knowledge_with(mistake: str, folder: Path) -> Path:
    """The sound knowledge with one mistake in it."""
    root = folder / "knowledge"
    shutil.copytree(SOUND, root)
    shutil.copytree(CASES / mistake, root, dirs_exist_ok=True)
    return root


def test_the_knowledge_that_the_mistakes_are_laid_over_is_sound() -> None:
    knowledge = Knowledge.load(SOUND)
    assert {topic.id for topic in knowledge.topics()} == {
        "cap_giay_vi_du",
        "nhan_qua_vi_du",
        "cap_giay_chi_co_ten",
    }


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_file_field_and_mend(mistake: str, tmp_path: Path) -> None:
    root = knowledge_with(mistake, tmp_path)
    words = (CASES / mistake / "error.txt").read_text().strip()
    with pytest.raises(BadData) as bad:
        Knowledge.load(root)
    first, *_ = str(bad.value).splitlines()
    assert first[: len(words)] == words


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    root = knowledge_with("unknown_condition", tmp_path)
    shutil.copytree(CASES / "catalogue_entry_without_code", root, dirs_exist_ok=True)
    shutil.copytree(CASES / "missing_rule_of_a_situation", root, dirs_exist_ok=True)
    with pytest.raises(BadData) as bad:
        Knowledge.load(root)
    assert [(problem.file, problem.field) for problem in bad.value.problems] == [
        ("knowledge/ho_tich/cap_giay_vi_du.yml", "fee[0].when.weather"),
        ("knowledge/catalogue.yml", "[0]"),
        ("knowledge/van_hoa_cong_vu/nhan_qua_vi_du.yml", "rests_on[0]"),
    ]


def replies_with(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


def test_a_reply_in_two_files_is_told(tmp_path: Path, house: House) -> None:
    folder = replies_with(tmp_path, a="thanks: Dạ.\n", b="thanks: Dạ vâng.\n")
    with pytest.raises(BadData) as bad:
        Replies(folder, house.knowledge)
    assert str(bad.value) == "b.yml: thanks: stands in two files: remove one"


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("Dạ, {{ office.name.", "is no template: expected name or number"),
        ("{% if open %}Mở cửa.", "is no template: Unexpected end of template."),
        ("{{ day | days }}", "is no template: No filter named 'days'."),
    ],
)
def test_a_reply_that_is_no_template_is_told(
    tmp_path: Path, house: House, text: str, mend: str
) -> None:
    folder = replies_with(tmp_path, a=f"thanks: '{text.replace(chr(39), chr(39) * 2)}'\n")
    with pytest.raises(BadData) as bad:
        Replies(folder, house.knowledge)
    assert str(bad.value).startswith(f"a.yml: thanks: {mend}")


def test_an_intent_with_an_unknown_key_or_outcome_is_told(tmp_path: Path) -> None:
    path = tmp_path / "intents.yml"
    path.write_text("- id: thanks\n  verb: say\n  replies: thanks\n  outcome: great\n")
    with pytest.raises(BadData) as bad:
        load_intents(path)
    fields = [problem.field for problem in bad.value.problems]
    assert fields == ["[0].outcome", "[0].replies"]


def test_a_list_of_phrases_without_its_threshold_is_told(tmp_path: Path) -> None:
    path = tmp_path / "heard_first.yml"
    path.write_text("emergency:\n  whole: [cứu với]\n")
    with pytest.raises(BadData) as bad:
        load_ears(path)
    [problem] = bad.value.problems
    assert (problem.field, problem.mend) == ("emergency.threshold", "is missing: add it")


def check(data: Path) -> "subprocess.CompletedProcess[str]":
    """`motcua check` as an operator runs it, on other data."""
    return subprocess.run(
        [sys.executable, "-m", "bot", "check"],
        cwd=CHECKOUT,
        env={**os.environ, "MOTCUA_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_motcua_check_ends_with_1_and_prints_the_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(DATA, data)
    path = data / "knowledge" / "ho_tich" / "dang_ky_khai_sinh.yml"
    path.write_text(path.read_text().replace('code: "1.001193"', "code: 1.001193"))
    checked = check(data)
    line = "knowledge/ho_tich/dang_ky_khai_sinh.yml: code: write it in quotes, as text: 1.001193"
    assert (checked.returncode, checked.stdout, checked.stderr.strip()) == (1, "", line)


def test_motcua_check_says_that_the_shipped_data_is_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_DATA", str(DATA))
    monkeypatch.setattr(sys, "argv", ["motcua", "check"])
    assert main() == 0
    out, err = capsys.readouterr()
    assert (out.startswith("data is sound: "), err) == (True, "")
