"""A faithful nlu on loopback: real HTTP, the agreed JSON, prepared answers, every way to fail."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from nlu.text import fold, normalize

KINDS = ("feedback", "proposal", "complaint", "denunciation")


def parse(
    text: str,
    intent: str,
    *,
    confidence: float = 0.95,
    also: dict[str, float] | None = None,
    facets: tuple[str, ...] = (),
    topic: tuple[str, str] | None = None,
    topics: list[tuple[str, str, float]] | None = None,
    kind: str | None = None,
    entities: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What nlu would give back for a text that it is sure about (or as sure as told)."""
    ranking = {intent: confidence, **(also or {})}
    ranked = topics or ([(*topic, 0.95)] if topic else [])
    return {
        "text": text,
        "normalized": normalize(text),
        "intent": {"name": intent, "confidence": confidence},
        "intent_ranking": [{"name": n, "confidence": c} for n, c in ranking.items()],
        "facets": dict.fromkeys(facets, 0.95),
        "asked": list(facets),
        "kinds": {k: (0.9 if k == kind else 0.03) for k in KINDS},
        "topics": [{"id": i, "kind": k, "confidence": c} for i, k, c in ranked],
        "entities": entities or [],
    }


class FakeNlu:
    """Answers prepared texts; `fails` makes it slow, broken or silent."""

    def __init__(self, token_file: Path) -> None:
        self.token = secrets.token_urlsafe(16)
        token_file.write_text(self.token)
        token_file.chmod(0o600)
        self.token_file = token_file
        self.url = ""
        self.asked: list[str] = []
        self.fails: str | None = None
        self._known: dict[str, dict[str, Any]] = {}
        self.released = asyncio.Event()

    def knows(self, text: str, intent: str, **more: Any) -> None:
        """Prepares the answer to one text, with or without diacritics."""
        self._known[fold(text)] = parse(text, intent, **more)

    async def _parse(self, request: web.Request) -> web.Response:
        if request.query.get("token") != self.token:
            return web.json_response({"status": "failure", "code": 401}, status=401)
        text = (await request.json())["text"]
        self.asked.append(text)
        match self.fails:
            case "slow":
                await self.released.wait()
            case "broken":
                return web.json_response({"status": "failure"}, status=500)
            case "garbage":
                return web.Response(text="<html>not what was agreed</html>")
        known = self._known.get(fold(text)) or parse(text, "out_of_scope")
        return web.json_response({**known, "text": text})

    async def _status(self, request: web.Request) -> web.Response:
        if request.query.get("token") != self.token:
            return web.json_response({"status": "failure", "code": 401}, status=401)
        return web.json_response({}, status=500 if self.fails else 200)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["FakeNlu"]:
        """Serves on a free loopback port."""
        app = web.Application()
        app.router.add_post("/model/parse", self._parse)
        app.router.add_get("/status", self._status)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.released.set()
            await runner.cleanup()
