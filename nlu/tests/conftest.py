"""A small project to train in: a few intents, topics and facets."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SENTENCES = {
    "greet": """
intent: greet
examples: [chào bạn, xin chào, hello, chào buổi sáng, alo có ai không, chào anh chị, em chào ạ, hi]
""",
    "bring_case": """
intent: bring_case
examples:
  - {text: ổ gà to trước cổng chợ, kind: feedback}
  - {text: đèn đường hẻm 5 hư cả tuần, kind: feedback}
  - {text: rác chất đống đầu ngõ không ai dọn, kind: feedback}
  - {text: nắp cống trước trường bị mất, kind: feedback}
  - {text: ổ gà trước trường học to quá, kind: feedback}
  - {text: cổng trường ngập nước bẩn, kind: feedback}
  - {text: xã nên mở thêm quầy cho người già, kind: proposal}
  - {text: đề nghị phường lắp thêm ghế ở chỗ chờ, kind: proposal}
  - {text: tôi khiếu nại quyết định thu hồi đất của nhà tôi, kind: complaint}
  - {text: không đồng ý quyết định xử phạt của ủy ban, kind: complaint}
  - {text: tố cáo ông A nhận hối lộ, kind: denunciation}
  - {text: cán bộ B lấy tiền của dân bỏ túi riêng, kind: denunciation}
""",
    "ask_procedure": """
intent: ask_procedure
examples:
  - {text: lệ phí bao nhiêu, facet: [fee]}
  - {text: cần giấy tờ gì, facet: [documents]}
  - {text: mấy ngày thì xong, facet: [time_limit]}
topics:
  dang_ky_khai_tu:
    documents: [khai tử mang theo gì, làm giấy chứng tử cần giấy gì, báo tử cần mang gì]
    fee: [khai tử có mất tiền không, báo tử tốn bao nhiêu]
    documents+fee: [khai tử cần giấy gì và bao nhiêu tiền]
""",
    "ask_conduct": """
intent: ask_conduct
topics:
  di_muon: [đi làm trễ năm phút có sao không, đi muộn có bị phạt không, trễ giờ làm vì kẹt xe]
""",
}
KNOWLEDGE = """
id: dang_ky_khai_sinh
name: Đăng ký khai sinh
asked_as:
  documents: [khai sinh cho con cần giấy gì, đi khai sinh mang theo gì, no]
  fee: [khai sinh mất bao nhiêu tiền, lệ phí khai sinh, làm giấy khai sinh hết bao nhiêu]
  time_limit: [khai sinh mấy ngày xong]
variants:
  - id: luu_dong
    asked_as:
      overview: [khai sinh lưu động tại nhà, cán bộ tới nhà làm khai sinh]
fee:
  - {value: {amount: 0}}
"""
SITUATION = """
id: nhan_phong_bi
asked_as: [dân đưa phong bì nhận được không, nhận phong bì có sao không, khách biếu tiền cà phê]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the root of the repository, with little data; the current folder."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a folder with a model, trained once for all tests by the command itself."""
    folder = tmp_path_factory.mktemp("trained")
    make_project(folder)
    subprocess.run([sys.executable, "-m", "nlu.train"], cwd=folder, check=True)
    return folder


def make_project(folder: Path) -> None:
    """Code of nlu as it is, data as above."""
    (folder / "nlu").mkdir()
    for path in [*(ROOT / "nlu").glob("*.py"), ROOT / "nlu/uv.lock"]:
        shutil.copy(path, folder / "nlu")
    shutil.copy(ROOT / "config.yml", folder)
    for name, content in SENTENCES.items():
        write(folder / f"data/sentences/vi/{name}.yml", content)
    write(folder / "data/knowledge/ho_tich/dang_ky_khai_sinh.yml", KNOWLEDGE)
    write(folder / "data/knowledge/van_hoa_cong_vu/nhan_phong_bi.yml", SITUATION)
    write(folder / "data/knowledge/law/luat.yml", "id: luat\nname: Luật\n")
    write(folder / "data/vocabulary/teencode.yml", "ko: không\nbn: bao nhiêu\n")


def write(path: Path, content: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
