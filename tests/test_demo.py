"""What citizens come for, on every messenger, with the real nlu: the scenes of the demo."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.commands.demo import load_scenes
from bot.nlu_process import some_nlu
from bot.settings import CHECKOUT, Settings
from bot.turn import House
from tests.fakes.demo import WAYS, play

pytestmark = [pytest.mark.rasa, pytest.mark.xdist_group("rasa")]

TOLD = (
    "Đăng ký khai sinh",  # a procedure, asked without diacritics
    "Thông tư về mức thu phí, lệ phí ưu đãi cho công dân số (117/2026/TT-BTC)",  # a fee's source
    "Đăng ký kết hôn",  # what came before is remembered
    "Kết luận: không được",  # a question of conduct
    "[người dân bấm] [Đồng ý]",  # a case, with buttons
    "Mã vụ việc của Anh/Chị là MC-",
    "[cán bộ] Bộ phận một cửa xin lỗi",  # its answer, which comes by itself
    "UBND phường Ví Dụ trả lời vụ việc MC-",
    "đã có trả lời",  # its state, asked by its code
)


async def test_the_scenes_go_on_every_messenger_as_they_do_in_the_terminal(
    tmp_path: Path, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(_env_file=None, var=tmp_path)
    async with some_nlu(settings) as nlu:
        own = settings.model_copy(update={"nlu_url": nlu.url})
        for way in WAYS:
            assert await play(way, own, house, load_scenes(settings)) == ""
            printed = capsys.readouterr().out
            assert (way, [told for told in TOLD if told not in printed]) == (way, [])
        done = await asyncio.to_thread(typed, nlu.url, tmp_path)
    assert done.returncode == 0, done.stderr[-1000:]
    for channel in ("telegram", "zalo"):
        assert f"=== {channel}: Gửi phản ánh" in done.stdout


def typed(nlu_url: str, var: Path) -> subprocess.CompletedProcess[str]:
    """`python -m tests.fakes demo`, beside an nlu that listens."""
    return subprocess.run(
        [sys.executable, "-m", "tests.fakes", "demo"],
        cwd=CHECKOUT,
        env={**os.environ, "MOTCUA_NLU_URL": nlu_url, "MOTCUA_VAR": str(var)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
