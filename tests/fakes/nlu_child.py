"""A stand-in for `python -m nlu.serve`: a real process with a real port and no Rasa."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from aiohttp import web

from tests.fakes.nlu import parse


def main() -> int:
    options = _options()
    if options.dies:
        print("nlu: no model: run `make train`", file=sys.stderr)
        return 2
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    token = options.token_file.read_text()
    asyncio.run(_serve(options.port, token, stubborn=options.stubborn))
    return 0


async def _serve(port: int, token: str, *, stubborn: bool) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.query.get("token") != token:
            return web.json_response({"status": "failure"}, status=401)
        text = (await request.json())["text"] if request.method == "POST" else ""
        return web.json_response(parse(text, "greet"))

    app = web.Application()
    app.router.add_post("/model/parse", answer)
    app.router.add_get("/status", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stop = asyncio.Event()
    if not stubborn:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dies", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
