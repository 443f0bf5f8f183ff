from pathlib import Path

import pytest
from conftest import write

from nlu import train
from nlu.importer import SentenceImporter
from nlu.train import fingerprint


def test_facets_and_topic_travel_as_metadata(project: Path) -> None:
    examples = SentenceImporter("config.yml").get_nlu_data().intent_examples

    [fee] = [e for e in examples if e.get("text") == "lệ phí khai sinh"]
    assert fee.get("intent") == "ask_procedure"
    assert fee.get("metadata") == {"example": {"topic": "dang_ky_khai_sinh", "facets": ["fee"]}}


@pytest.mark.parametrize(
    ("path", "old", "new", "stale"),
    [
        ("data/sentences/vi/greet.yml", "xin chào", "xin chào ạ", True),
        ("data/vocabulary/teencode.yml", "bn:", "bnh:", True),
        ("data/knowledge/ho_tich/dang_ky_khai_sinh.yml", "mất bao nhiêu", "hết mấy", True),
        ("data/knowledge/ho_tich/dang_ky_khai_sinh.yml", "tại nhà", "tận nhà", True),
        ("data/knowledge/ho_tich/dang_ky_khai_sinh.yml", "amount: 0", "amount: 8000", False),
        ("data/knowledge/law/luat.yml", "Luật", "Luật Hộ tịch", False),
        ("config.yml", "assistant_id: motcua", "assistant_id: other", True),
        ("nlu/text.py", "one spelling", "one and the same spelling", True),
        ("nlu/serve.py", "nothing else", "no more", False),
    ],
)
def test_only_what_training_reads_makes_stale(
    project: Path, path: str, old: str, new: str, stale: bool
) -> None:
    before = fingerprint(project)
    content = (project / path).read_text("utf-8")
    assert old in content

    write(project / path, content.replace(old, new))

    assert (fingerprint(project) != before) is stale


def test_check_says_fresh_or_stale(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    assert train.main(["--check"]) == 0
    assert train.main([]) == 0
    assert "nothing to train" in capsys.readouterr().out

    greet = trained / "data/sentences/vi/greet.yml"
    was = greet.read_text("utf-8")
    write(greet, was.replace("hi]", "hi, hey]"))
    assert train.main(["--check"]) == 1
    write(greet, was)


def test_model_is_for_its_owner_alone(trained: Path) -> None:
    model = trained / "var/model"

    assert (model.stat().st_mode & 0o777, model.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    assert sorted(path.name for path in model.iterdir()) == ["nlu.tar.gz", "trained_from.sha256"]


def test_broken_off_training_keeps_the_old_model(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / train.MODEL, "old")
    write(project / train.TRAINED_FROM, "old")

    def break_off(made: Path, folder: Path) -> None:
        write(made, "half")
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "_run_rasa", break_off)
    with pytest.raises(KeyboardInterrupt):
        train.main([])

    assert (project / train.MODEL).read_text() == "old"
    assert sorted(p.name for p in (project / "var/model").iterdir()) == [
        "nlu.tar.gz",
        "trained_from.sha256",
    ]
    assert train.main(["--check"]) == 1


def test_bad_data_is_told_in_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "data/vocabulary/teencode.yml", "ko: [\n")
    write(project / "data/knowledge/x.yml", "id: x\nasked_as: [\n")

    assert train.main([]) == train.BAD_DATA
    assert capsys.readouterr().err.startswith("cannot train: ")
