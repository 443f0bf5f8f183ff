import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import write

TOKEN = "a-token-for-tests"


class Served:
    """nlu in a process of its own, asked over HTTP."""

    def __init__(self, folder: Path, token_file: Path, *more: str) -> None:
        self.process = start(folder, token_file, "--port", "0", *more)
        line = self.process.stdout.readline()
        assert line.startswith("nlu listens on http://127.0.0.1:"), self.process.stderr.read()
        self.port = int(line.rpartition(":")[2])

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body if isinstance(body, str) else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def parse(self, text: str) -> dict[str, Any]:
        status, answer = self.ask("POST", f"/model/parse?token={TOKEN}", {"text": text})
        assert status == 200
        return answer

    def stop(self) -> tuple[str, str]:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=10)
        return out, err


def start(folder: Path, token_file: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nlu.serve", "--token-file", str(token_file), *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def token_in(folder: Path, mode: int) -> Path:
    path = folder / f"token-{mode:o}"
    write(path, TOKEN + "\n")
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def served(trained: Path) -> Iterator[Served]:
    server = Served(trained, token_in(trained, 0o600))
    yield server
    server.stop()


def test_status_tells_that_the_model_is_loaded(served: Served) -> None:
    assert served.ask("GET", f"/status?token={TOKEN}")[0] == 200


def test_parse_gives_all_that_the_bot_needs(served: Served) -> None:
    parsed = served.parse("Làm giấy khai sinh ko biết hết bn tiền, gọi 0900 000 000")

    assert parsed["normalized"].startswith("làm giấy khai sinh không biết hết bao nhiêu tiền")
    assert parsed["intent"]["name"] == "ask_procedure"
    assert parsed["intent_ranking"][0] == parsed["intent"]
    assert parsed["topics"][0]["id"] == "dang_ky_khai_sinh"
    assert parsed["topics"][0]["kind"] == "procedure"
    assert parsed["asked"][0] == "fee"
    assert set(parsed["kinds"]) == {"feedback", "proposal", "complaint", "denunciation"}
    assert [entity["value"] for entity in parsed["entities"]] == ["0900000000"]


def test_text_without_diacritics_means_the_same(served: Served) -> None:
    for text in ("ổ gà to trước cổng trường", "o ga to truoc cong truong"):
        assert served.parse(text)["intent"]["name"] == "bring_case"


@pytest.mark.parametrize("text", ["/restart", ' /greet{"a": "b"}', "/bring_case"])
def test_text_is_never_a_command(served: Served, text: str) -> None:
    assert served.parse(text)["intent"]["confidence"] < 1


@pytest.mark.parametrize("text", ["", "🙂🙂", "/", "a" * 20_000, "khai sinh " * 2_000, "\ud800x"])
def test_any_text_gets_an_answer(served: Served, text: str) -> None:
    assert served.parse(text)["intent"]["name"]


@pytest.mark.parametrize("body", ["{", "[]", '{"text": 3}', "{}"])
def test_what_is_no_message_is_refused(served: Served, body: str) -> None:
    assert served.ask("POST", f"/model/parse?token={TOKEN}", body)[0] == 400


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong"])
def test_nothing_is_told_without_the_token(served: Served, query: str) -> None:
    assert served.ask("GET", f"/status{query}")[0] == 401
    assert served.ask("POST", f"/model/parse{query}", {"text": "xin chào"})[0] == 401


@pytest.mark.parametrize("path", ["/", "/version", "/model", "/conversations/x/tracker"])
def test_nothing_else_is_served(served: Served, path: str) -> None:
    assert served.ask("GET", f"{path}?token={TOKEN}")[0] == 404


def test_stops_cleanly_and_writes_no_message_down(trained: Path) -> None:
    server = Served(trained, token_in(trained, 0o600))
    server.parse("một câu riêng tư")

    assert server.stop() == ("", "")
    assert server.process.returncode == 0


def test_token_that_others_can_read_is_refused(trained: Path) -> None:
    process = start(trained, token_in(trained, 0o640), "--port", "0")
    _, err = process.communicate(timeout=10)

    assert process.returncode == 4
    assert "chmod 600" in err


def test_missing_or_broken_model_says_what_to_do(trained: Path, tmp_path: Path) -> None:
    write(tmp_path / "broken.tar.gz", "no archive")
    for model in (tmp_path / "none.tar.gz", tmp_path / "broken.tar.gz"):
        process = start(trained, token_in(trained, 0o600), "--port", "0", "--model", str(model))
        _, err = process.communicate(timeout=20)

        assert process.returncode == 2
        assert err.count("\n") == 1
        assert "make train" in err


def test_taken_port_says_what_to_do(trained: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        process = start(trained, token_in(trained, 0o600), "--port", port)
        _, err = process.communicate(timeout=10)

    assert process.returncode == 3
    assert f"port {port} is taken" in err


def test_ends_when_its_parent_ends(trained: Path) -> None:
    token = token_in(trained, 0o600)
    script = (
        "import os, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-m', 'nlu.serve', '--port', '0', '--token-file',"
        f" {str(token)!r}, '--parent', str(os.getpid())], stdout=sys.stdout)\n"
        "sys.stdin.readline()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=trained,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(parent.stdout.readline().rpartition(":")[2])
    parent.kill()

    assert _within(10, lambda: not _listens(port))


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _within(seconds: float, claim: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not claim():
        time.sleep(0.1)
    return claim()
