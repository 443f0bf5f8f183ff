"""`python -m nlu.serve`: Rasa's `/status` and `/model/parse` on loopback, and nothing else.

The trained graph is run by Rasa's own runner, but without the dialogue side of its server: that
imports TensorFlow and takes ten seconds and 600 MB, and it obeys messages that begin with `/`.
"""

from __future__ import annotations

import argparse
import hmac
import json
import logging
import os
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sanic import Sanic

NO_MODEL = 2
NO_PORT = 3
NO_TOKEN = 4
LARGEST_REQUEST = 1_000_000
MESSAGES = "__message__"
"""The name under which Rasa's runner is given messages."""

Parse = Callable[[str], dict[str, Any]]


class CannotServe(Exception):  # noqa: N818 - a fact, not a failure
    """Something must be mended before nlu can run; says what, and the exit code tells it too."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop, or until the process given as --parent is gone."""
    options = _options(arguments)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if options.parent:
        threading.Thread(target=_stop_with, args=(options.parent,), daemon=True).start()
    try:
        token = read_token(options.token_file)
        with take_port(options.port) as listener:
            app = application(load_parse(options.model), token, options.model.name)
            app.run(sock=listener, access_log=False, motd=False)
    except CannotServe as error:
        print(f"nlu: {error}", file=sys.stderr)
        return error.code
    return 0


def read_token(path: Path) -> str:
    """The token, from a file that nobody but its owner can read."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CannotServe(NO_TOKEN, f"others can read the token: run `chmod 600 {path}`")
        token = path.read_text("utf-8").strip()
    except OSError as error:
        raise CannotServe(NO_TOKEN, f"no token in {path}: {error.strerror}") from error
    if not token:
        raise CannotServe(NO_TOKEN, f"{path} is empty: delete it and run `make run` again")
    return token


def take_port(port: int) -> socket.socket:
    """A socket bound to loopback; port 0 takes any free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise CannotServe(
            NO_PORT, f"port {port} is taken: stop what uses it, or choose another"
        ) from error
    return listener


def load_parse(model: Path) -> Parse:
    """What a trained model makes of a text, in the shape of Rasa's `/model/parse`."""
    if not model.is_file():
        raise CannotServe(NO_MODEL, f"no model at {model}: run `make train`")
    warnings.showwarning = lambda *_, **__: None
    from rasa.shared.nlu.constants import ENTITIES, INTENT, TEXT
    from rasa.shared.nlu.training_data.message import Message

    try:
        run = _graph(model)
    except Exception as error:  # whatever a broken archive leads to
        what = f"the model {model} does not load ({type(error).__name__}): run `make train`"
        raise CannotServe(NO_MODEL, what) from error

    def parse(text: str) -> dict[str, Any]:
        empty = {TEXT: "", INTENT: {"name": None, "confidence": 0.0}, ENTITIES: []}
        return {**empty, **run(Message({TEXT: text})).as_dict(only_output_properties=True)}

    parse("xin chào")
    return parse


def application(parse: Parse, token: str, model_file: str) -> Sanic:
    """`GET /status` once the model is loaded, `POST /model/parse`; both want `?token=`."""
    from sanic import Sanic
    from sanic.exceptions import SanicException
    from sanic.request import Request
    from sanic.response import HTTPResponse
    from sanic.response import json as answer

    app = Sanic("nlu", configure_logging=False)
    app.config.REQUEST_MAX_SIZE = LARGEST_REQUEST
    app.config.KEEP_ALIVE_TIMEOUT = 75
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 2.0

    @app.on_request
    async def admit(request: Request) -> HTTPResponse | None:
        given = request.args.get("token", "")
        if not hmac.compare_digest(given.encode(), token.encode()):
            return answer({"status": "failure", "reason": "NotAuthenticated"}, 401)
        return None

    @app.after_server_start
    async def tell(app: Sanic, loop: object) -> None:
        port = app.state.sock.getsockname()[1]
        print(f"nlu listens on http://127.0.0.1:{port}", flush=True)

    @app.get("/status")
    async def status(request: Request) -> HTTPResponse:
        return answer({"model_file": model_file, "num_active_training_jobs": 0})

    @app.post("/model/parse")
    async def parse_message(request: Request) -> HTTPResponse:
        text = (request.json or {}).get("text") if isinstance(request.json, dict) else None
        if not isinstance(text, str):
            return answer({"status": "failure", "reason": "BadRequest"}, 400)
        whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no letter
        return answer(parse(whole), ensure_ascii=False)

    @app.exception(Exception)
    async def fail(request: Request, error: Exception) -> HTTPResponse:
        if isinstance(error, SanicException):
            return answer({"status": "failure", "reason": type(error).__name__}, error.status_code)
        print(f"nlu: a message could not be read ({_where(error)})", file=sys.stderr, flush=True)
        return answer({"status": "failure", "reason": "ParsingError"}, 500)

    return app


def _graph(model: Path) -> Callable[[Any], Any]:
    """The pipeline of a model archive as one function from message to message."""
    import structlog
    from rasa.engine.graph import ExecutionContext, GraphSchema
    from rasa.engine.runner.dask import DaskGraphRunner
    from rasa.engine.storage.local_model_storage import LocalModelStorage
    from tarsafe import TarSafe

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)  # Rasa's own lines quote messages; ours never do
    with tempfile.TemporaryDirectory() as folder:
        with TarSafe.open(model) as archive:
            archive.extractall(folder)
        metadata = json.loads((Path(folder) / "metadata.json").read_text("utf-8"))
        nodes, last = _without_rasas_ends(metadata["predict_schema"]["nodes"])
        schema = GraphSchema.from_dict({"nodes": nodes})
        storage = LocalModelStorage(Path(folder) / "components")
        runner = DaskGraphRunner.create(schema, storage, ExecutionContext(schema))
    return lambda message: runner.run({MESSAGES: [message]}, targets=[last])[last][0]


def _without_rasas_ends(nodes: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The nodes of the pipeline and the name of its last.

    Rasa puts a converter of channel messages before it, which imports every channel, and behind
    it the handler that obeys `/intent{...}`.
    """
    ends = ("NLUMessageConverter", "RegexMessageHandler")
    kept = {name: n for name, n in nodes.items() if n["uses"].rpartition(".")[2] not in ends}
    for node in kept.values():
        node["needs"] = {
            argument: source if source in kept else MESSAGES
            for argument, source in node["needs"].items()
        }
    needed = {source for node in kept.values() for source in node["needs"].values()}
    [last] = kept.keys() - needed
    return kept, last


def _where(error: Exception) -> str:
    """Kind and place of an error, without its words, which can hold those of a person."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    code = place.tb_frame.f_code if place else None
    name = f"{Path(code.co_filename).name}:{place.tb_lineno}" if code and place else "?"
    return f"{type(error).__name__} at {name}"


def _stop_with(parent: int) -> None:
    """Stop this process soon after its parent has gone, however the parent went."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nlu.serve", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("var/model/nlu.tar.gz"))
    parser.add_argument("--port", type=int, default=5005, help="0 takes any free port")
    parser.add_argument("--token-file", type=Path, required=True, help="mode 0600")
    parser.add_argument("--parent", type=int, help="stop when this parent process has gone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
