"""Real processes: nlu as a child, `motcua serve` and `motcua run` as an operator starts them."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot import nlu_process
from bot.nlu_process import NluCannotStart, NluProcess, free_port, make_token, some_nlu
from bot.settings import CHECKOUT, Settings
from bot.understanding import Nlu
from tests.fakes.visitor import Visitor, until

CHILD = (sys.executable, "-m", "tests.fakes.nlu_child")
NLU_PYTHON = CHECKOUT / "nlu" / ".venv" / "bin" / "python"
MODEL = Settings(_env_file=None).model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, var=tmp_path, nlu_url=f"http://127.0.0.1:{free_port()}")


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Nlu]:
    async with Nlu(settings.nlu_url, settings.nlu_token, settings.nlu_timeout) as nlu:
        yield nlu


Make = Callable[..., NluProcess]


@pytest.fixture
async def child(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Makes an nlu child, the stand-in unless another command is given; none outlives a test."""
    monkeypatch.setattr(nlu_process, "_START_SECONDS", 30.0)
    made: list[NluProcess] = []

    def make(*flags: str, command: tuple[str, ...] = CHILD) -> NluProcess:
        made.append(NluProcess(settings, (*command, *flags)))
        return made[-1]

    yield make
    for process in made:
        await process.stop()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def running_with(word: str) -> set[int]:
    """The living processes whose command line holds a word, zombies not among them."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                if word in (folder / "cmdline").read_bytes().decode(errors="replace").split("\0"):
                    found.add(int(folder.name))
    return found


# nlu as a child


async def test_nlu_is_started_waited_for_and_stopped(settings: Settings, child: Make) -> None:
    process = child()
    async with asking(settings) as nlu:
        await process.start(nlu)
        assert await nlu.ready()
        assert len(running_with(str(settings.nlu_token))) == 1
        await process.stop()
        assert not await nlu.ready()
    assert running_with(str(settings.nlu_token)) == set()


async def test_nlu_is_started_again_when_it_dies(settings: Settings, child: Make) -> None:
    process = child()
    async with asking(settings) as nlu:
        await process.start(nlu)
        watch = asyncio.create_task(process.keep_alive())
        [first] = running_with(str(settings.nlu_token))
        os.kill(first, signal.SIGKILL)
        await until(lambda: _not(nlu.ready()))
        await until(nlu.ready)
        [second] = running_with(str(settings.nlu_token))
        assert second != first
        watch.cancel()
        await process.stop()
    assert running_with(str(settings.nlu_token)) == set()


async def _not(answer: object) -> bool:
    return not await answer


async def test_an_nlu_that_does_not_listen_to_reason_is_ended_all_the_same(
    settings: Settings, child: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nlu_process, "_STOP_SECONDS", 0.2)
    process = child("--stubborn")
    async with asking(settings) as nlu:
        await process.start(nlu)
    await process.stop()
    assert running_with(str(settings.nlu_token)) == set()


async def test_stopping_what_never_started_or_is_dead_is_no_trouble(
    settings: Settings, child: Make
) -> None:
    process = child("--dies")
    await process.stop()
    async with asking(settings) as nlu:
        with pytest.raises(NluCannotStart):
            await process.start(nlu)
    await process.stop()


async def test_an_nlu_that_ends_at_once_is_told_with_its_own_words(
    settings: Settings, child: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    async with asking(settings) as nlu:
        with pytest.raises(NluCannotStart, match="nlu did not start: what it said stands above"):
            await child("--dies").start(nlu)
    assert "make train" in capfd.readouterr().err


async def test_a_taken_port_is_named_with_what_to_do(settings: Settings, taken_port: int) -> None:
    settings = settings.model_copy(update={"nlu_url": f"http://127.0.0.1:{taken_port}"})
    async with asking(settings) as nlu:
        with pytest.raises(NluCannotStart) as told:
            await NluProcess(settings, CHILD).start(nlu)
    assert f"port {taken_port} is in use" in str(told.value)
    assert "MOTCUA_NLU_URL" in str(told.value)
    assert running_with(str(settings.nlu_token)) == set()


async def test_a_missing_set_up_says_what_to_run(
    settings: Settings, child: Make, tmp_path: Path
) -> None:
    async with asking(settings) as nlu:
        with pytest.raises(NluCannotStart, match="make setup"):
            await child(command=(str(tmp_path / "no-python"),)).start(nlu)


async def test_an_nlu_that_never_gets_ready_is_given_up(
    settings: Settings, child: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nlu_process, "_START_SECONDS", 0.1)
    process = child(command=("/bin/sh", "-c", "exec sleep 60"))
    async with asking(settings) as nlu:
        with pytest.raises(NluCannotStart, match="make train"):
            await process.start(nlu)


def test_the_token_is_drawn_once_and_only_its_owner_reads_it(settings: Settings) -> None:
    make_token(settings)
    token = settings.nlu_token.read_text()
    assert settings.nlu_token.stat().st_mode & 0o777 == 0o600
    assert len(token) >= 32
    make_token(settings)
    assert settings.nlu_token.read_text() == token


async def test_an_nlu_that_listens_already_is_asked_rather_than_started(
    settings: Settings,
    child: Make,
) -> None:
    process = child()
    async with asking(settings) as nlu:
        await process.start(nlu)
    before = running_with(str(settings.nlu_token))
    async with some_nlu(settings) as nlu:
        assert await nlu.ready()
        assert running_with(str(settings.nlu_token)) == before


# the command line


@asynccontextmanager
async def motcua(command: str, var: Path, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`motcua …` as an operator starts it, in a session of its own; never outlives the test."""
    environment = {name: value for name, value in os.environ.items() if "MOTCUA" not in name}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        command,
        cwd=CHECKOUT,
        env={**environment, "MOTCUA_VAR": str(var), "PYTHONUNBUFFERED": "1", **more},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def address_told(process: asyncio.subprocess.Process, within: float = 30.0) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(within):
        while line := (await process.stdout.readline()).decode():
            if line.startswith("web chat: "):
                return line.removeprefix("web chat: ").strip().rstrip("/")
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_serve_answers_without_nlu_and_ends_cleanly(
    tmp_path: Path, sign: signal.Signals
) -> None:
    var, port = tmp_path / "var", free_port()
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with motcua("serve", var, MOTCUA_PORT=str(port), MOTCUA_NLU_URL=nowhere) as process:
        url = await address_told(process)
        assert url == f"http://127.0.0.1:{port}"
        async with Visitor(url) as visitor, visitor.stream() as stream:
            health = await (await visitor.session.get("/health")).json()
            assert health == {"store": True, "nlu": False, "trouble": []}
            reply = await visitor.says(stream, "đăng ký khai sinh")
            assert reply.text.startswith("Dạ")
            assert any("khai sinh" in label for label in visitor.offered)
            process.send_signal(sign)
            assert (await stream.next()).name == "bye"
        out, err = await asyncio.wait_for(process.communicate(), 5)
        assert (process.returncode, out) == (0, b"")
        assert b"Traceback" not in err
        assert b"khai sinh" not in err
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    assert not listens(port)
    assert var.stat().st_mode & 0o777 == 0o700
    assert (var / "keys.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", ["serve", "run"])
async def test_a_taken_port_ends_with_one_plain_sentence(
    tmp_path: Path, taken_port: int, command: str
) -> None:
    async with motcua(command, tmp_path, MOTCUA_PORT=str(taken_port)) as process:
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert f"port {taken_port} is in use" in err.decode()
    assert "MOTCUA_PORT" in err.decode()
    assert "Traceback" not in err.decode()


async def test_a_database_that_cannot_be_used_ends_with_one_plain_sentence(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nowhere' / 'motcua.db'}"
    async with motcua("serve", tmp_path, MOTCUA_PORT="0", MOTCUA_DATABASE_URL=url) as process:
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "the database cannot be used" in err.decode()
    assert "Traceback" not in err.decode()


async def test_a_key_ring_open_to_others_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    (tmp_path / "keys.json").chmod(0o644)
    async with motcua("serve", tmp_path, MOTCUA_PORT="0") as process:
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "chmod 600" in err.decode()
    assert "Traceback" not in err.decode()


async def test_run_with_a_model_that_is_missing_says_what_to_do(tmp_path: Path) -> None:
    if not NLU_PYTHON.exists():
        pytest.skip("nlu is not set up")
    more = {
        "MOTCUA_PORT": str(free_port()),
        "MOTCUA_MODEL": str(tmp_path / "none.tar.gz"),
        "MOTCUA_NLU_URL": f"http://127.0.0.1:{free_port()}",
    }
    async with motcua("run", tmp_path, **more) as process:
        _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert "make train" in err.decode()
    assert "Traceback" not in err.decode()
    assert running_with(str(tmp_path / "nlu-token")) == set()


@pytest.mark.rasa
@pytest.mark.xdist_group("rasa")
class TestRunWithRasa:
    """`motcua run` with the trained model."""

    @pytest.fixture(autouse=True)
    def trained(self) -> None:
        if not (NLU_PYTHON.exists() and MODEL.exists()):
            assert "MOTCUA_EVERYTHING_TESTED" not in os.environ, "run `make setup` first"
            pytest.skip("no trained model: run `make setup`")

    @pytest.fixture
    def ports(self) -> dict[str, str]:
        return {
            "MOTCUA_PORT": str(free_port()),
            "MOTCUA_NLU_URL": f"http://127.0.0.1:{free_port()}",
        }

    async def test_run_answers_mends_a_dead_nlu_and_leaves_nothing(
        self, tmp_path: Path, ports: dict[str, str]
    ) -> None:
        token = str(tmp_path / "nlu-token")
        async with motcua("run", tmp_path, **ports) as process:
            url = await address_told(process, within=60)
            async with Visitor(url) as visitor, visitor.stream() as stream:
                reply = await visitor.says(stream, "lam giay khai sinh can giay to gi")
                assert "Giấy chứng sinh" in reply.text
                [first] = running_with(token)
                os.kill(first, signal.SIGKILL)

                async def up() -> bool:
                    health = await (await visitor.session.get("/health")).json()
                    return bool(health["nlu"]) and running_with(token) != {first}

                await until(up, within=60)
                reply = await visitor.says(stream, "lệ phí đăng ký khai sinh là bao nhiêu")
                assert "không thu" in reply.text
            os.killpg(process.pid, signal.SIGINT)
            _, err = await asyncio.wait_for(process.communicate(), 15)
            assert process.returncode == 0
        assert "Traceback" not in err.decode()
        assert err.decode().count("starting it again") == 1
        assert running_with(token) == set()
        assert not any(listens(int(value.rpartition(":")[2])) for value in ports.values())

    @pytest.mark.parametrize(
        ("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
    )
    async def test_a_start_cut_short_leaves_no_nlu_behind(
        self, tmp_path: Path, ports: dict[str, str], sign: signal.Signals, code: int
    ) -> None:
        token = str(tmp_path / "nlu-token")
        async with motcua("run", tmp_path, **ports) as process:
            await until(lambda: _holds(len(running_with(token)) == 1), within=30)
            process.send_signal(sign)
            _, err = await asyncio.wait_for(process.communicate(), 15)
            assert process.returncode == code
        assert "Traceback" not in err.decode()
        await until(lambda: _holds(running_with(token) == set()), within=15)


async def _holds(fact: bool) -> bool:
    return fact
