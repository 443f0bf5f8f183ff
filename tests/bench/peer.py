"""The peer's side: `rasa run` with its REST channel and SQL tracker store, and an action server."""

import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.peer_project import ENVIRONMENT, MODEL, Project
from tests.bench.processes import (
    BENCH,
    CHECKOUT,
    NLU_PYTHON,
    BenchBroken,
    Child,
    answers,
    child,
    free_port,
)

_START_SECONDS = 180.0


@dataclass
class Peer:
    """Stock Rasa whose custom actions some server runs."""

    name: str
    url: str
    session: aiohttp.ClientSession
    children: Sequence[Child]
    _people: Iterator[int] = field(default_factory=itertools.count)

    @asynccontextmanager
    async def conversation(self) -> AsyncIterator["Chat"]:
        """A new sender."""
        yield Chat(self, f"person-{next(self._people)}")

    async def parse(self, text: str) -> None:
        """POST /model/parse."""
        async with self.session.post(f"{self.url}/model/parse", json={"text": text}) as response:
            if response.status != 200 or not (await response.json())["intent"]["name"]:
                raise BenchBroken(f"the peer did not understand {text!r}: {response.status}")


@dataclass
class Chat:
    """A conversation over the REST channel."""

    peer: Peer
    sender: str

    async def say(self, line: str) -> None:
        """The REST channel answers a message with all replies."""
        async with self.peer.session.post(
            f"{self.peer.url}/webhooks/rest/webhook",
            json={"sender": self.sender, "message": line},
        ) as response:
            if response.status != 200 or not await response.json():
                raise BenchBroken(
                    f"{self.peer.name} said nothing to {line!r}: {response.status}; "
                    f"see {self.peer.children[0].log}"
                )


@asynccontextmanager
async def peer(
    name: str, project: Project, action_endpoint: Mapping[str, Any]
) -> AsyncIterator[Peer]:
    """Rasa, started, with the model that was kept and an empty tracker store beside ours."""
    with tempfile.TemporaryDirectory(dir=BENCH, prefix="peer-run-") as folder:
        endpoints, credentials = Path(folder) / "endpoints.yml", Path(folder) / "credentials.yml"
        database = str(Path(folder) / "rasa.db")
        endpoints.write_text(
            json.dumps(
                {
                    "action_endpoint": dict(action_endpoint),
                    "tracker_store": {"type": "SQL", "dialect": "sqlite", "db": database},
                }
            )
        )
        credentials.write_text('{"rest": {}}')
        url = f"http://127.0.0.1:{free_port()}"
        command = [NLU_PYTHON, "-m", "rasa", "run", "--enable-api", "--interface", "127.0.0.1"]
        command += ["--port", url.rpartition(":")[2], "--model", project.folder / MODEL]
        command += ["--endpoints", endpoints, "--credentials", credentials]
        async with (
            child(name, command, project.folder, ENVIRONMENT) as rasa,
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=60), connector=aiohttp.TCPConnector(limit=0)
            ) as session,
        ):
            await rasa.until(lambda: answers(session, f"{url}/status"), _START_SECONDS)
            yield Peer(name, url, session, (rasa,))


@asynccontextmanager
async def trivial_actions(project: Project) -> AsyncIterator[tuple[Child, str]]:
    """rasa-sdk's own action server with the trivial actions; gives its address."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [NLU_PYTHON, "-m", "rasa_sdk", "--actions", "tests.bench.peer_actions"]
    command += ["--port", url.rpartition(":")[2]]
    more = {"BENCH_ACTIONS": " ".join(project.actions), "SANIC_HOST": "127.0.0.1"}
    async with (
        child("trivial actions", command, CHECKOUT, ENVIRONMENT | more) as server,
        aiohttp.ClientSession() as session,
    ):
        await server.until(lambda: answers(session, f"{url}/health"), _START_SECONDS)
        yield server, f"{url}/webhook"
