"""What the fakes of messaging platforms share: loopback HTTP, virtual time, a log, faults."""

import asyncio
import base64
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import BodyPartReader, ClientSession, MultipartReader, StreamReader, web
from aiohttp.base_protocol import BaseProtocol

MONDAY_MORNING = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
"""Where a virtual clock starts: nine o'clock in Việt Nam."""

Body = bytes | dict[str, Any]


class VirtualClock:
    """Stands still until it is moved, or follows the machine's clock plus what it was moved."""

    def __init__(self, start: datetime = MONDAY_MORNING, *, real: bool = False) -> None:
        self.start, self.real, self.moved = start, real, timedelta()

    def __call__(self) -> datetime:
        return self.now

    @property
    def now(self) -> datetime:
        """The moment, in UTC."""
        return (datetime.now(UTC) if self.real else self.start) + self.moved

    @property
    def ms(self) -> int:
        """The moment in milliseconds since 1970."""
        return (self.now - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)

    def move(self, **span: float) -> None:
        """Lets time pass: `seconds=`, `minutes=`, `hours=`, `days=`, `milliseconds=`."""
        self.moved += timedelta(**span)


@dataclass(frozen=True)
class Upload:
    """A file in a multipart call."""

    name: str
    content: bytes
    media_type: str


@dataclass
class Call:
    """One API call that the platform received; `status` is 0 where no answer went back."""

    method: str
    fields: dict[str, Any]
    headers: dict[str, str]
    raw: bytes
    at: datetime
    status: int = 0
    line: str = ""
    """The verb and the path, as they came."""

    def told(self) -> dict[str, Any]:
        """The call as JSON can hold it."""
        fields = json.loads(json.dumps(self.fields, default=lambda upload: upload.name))
        raw = self.raw.decode(errors="replace")
        at = self.at.isoformat()
        return {**vars(self), "fields": fields, "raw": raw, "at": at}


@dataclass
class Fault:
    """What goes wrong with the next `times` calls of a method (None: of any)."""

    method: str | None = None
    times: int = 1
    status: int | None = None
    body: Body | None = None
    delay: float = 0.0
    drop: bool = False
    lost: bool = False


class Platform:
    """One loopback server that plays a messaging platform; subclasses say which."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.url = ""
        self.http: ClientSession
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.mistakes: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        """The platform's own addresses."""
        raise NotImplementedError

    def somebody(self, id_: str) -> Any:
        """The person whom the control routes mean."""
        raise NotImplementedError

    def refusal(self, status: int) -> Body:
        """The body of a fault that names a status only."""
        return b""

    async def pump(self) -> None:
        """Delivers what is due by the clock."""

    def reset(self) -> None:
        """Forgets everything but the clock."""
        for kept in (self.calls, self.faults, self.mistakes):
            kept.clear()

    def fault(
        self,
        method: str | None = None,
        *,
        times: int = 1,
        status: int | None = None,
        body: Body | None = None,
        delay: float = 0.0,
        drop: bool = False,
        lost: bool = False,
    ) -> None:
        """Makes the next calls fail; `delay` is in the machine's seconds."""
        self.faults.append(Fault(method, times, status, body, delay, drop, lost))

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[Self]:
        """Serves on loopback; with a real clock also delivers what is due each second."""
        app = web.Application(client_max_size=60 * 2**20)
        app.add_routes([*self._control(), *self.routes()])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ticking = asyncio.create_task(self._tick()) if self.clock.real else None
        try:
            async with ClientSession() as self.http:
                yield self
        finally:
            if ticking:
                ticking.cancel()
            await runner.cleanup()

    async def handle(
        self,
        method: str,
        request: web.Request,
        act: Callable[[Call], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Notes a call, lets the faults have their way, and does it."""
        raw = await request.read()
        fields = await parsed(request, raw)
        line = f"{request.method} {request.path}"
        call = Call(method, fields, dict(request.headers), raw, self.clock.now, line=line)
        self.calls.append(call)
        fault = self._fault_for(method)
        if fault.drop:
            return _cut(request)
        await asyncio.sleep(fault.delay)
        if fault.status is None and fault.body is None:
            response = await act(call)
        else:
            status = fault.status or 200
            body = self.refusal(status) if fault.body is None else fault.body
            response = _response(body, status)
        if fault.lost:
            return _cut(request)
        call.status = response.status
        return response

    def _fault_for(self, method: str) -> Fault:
        for fault in self.faults:
            if fault.method in (None, method):
                fault.times -= 1
                if fault.times < 1:
                    self.faults.remove(fault)
                return fault
        return Fault()

    def _control(self) -> list[web.RouteDef]:
        return [
            web.post("/_ctl/reset", self._ctl_reset),
            web.post("/_ctl/clock", self._ctl_clock),
            web.post("/_ctl/fault", self._ctl_fault),
            web.get("/_ctl/outbox", self._ctl_outbox),
            web.post("/_ctl/person/{id}/{act}", self._ctl_person),
        ]

    async def _ctl_reset(self, _: web.Request) -> web.Response:
        self.reset()
        return web.json_response({})

    async def _ctl_clock(self, request: web.Request) -> web.Response:
        self.clock.move(milliseconds=(await request.json())["move_ms"])
        await self.pump()
        return web.json_response({"ms": self.clock.ms})

    async def _ctl_fault(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if isinstance(wanted.get("body"), str):
            wanted["body"] = wanted["body"].encode()
        self.fault(**wanted)
        return web.json_response({})

    async def _ctl_outbox(self, _: web.Request) -> web.Response:
        return web.json_response([call.told() for call in self.calls])

    async def _ctl_person(self, request: web.Request) -> web.Response:
        person, name = self.somebody(request.match_info["id"]), request.match_info["act"]
        act = getattr(person, name, None)
        if name.startswith("_") or not inspect.iscoroutinefunction(act):
            raise web.HTTPNotFound(text=f"a person has no act {name}")
        words = await request.json() if request.can_read_body else {}
        if "content" in words:
            words["content"] = base64.b64decode(words["content"])
        return web.json_response({"result": await act(**words)})

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            await self.pump()


async def parsed(request: web.Request, raw: bytes) -> dict[str, Any]:
    """The fields of the address and of a form, JSON or multipart body; files as `Upload`."""
    fields: dict[str, Any] = dict(request.query)
    match request.content_type:
        case "application/json":
            with suppress(ValueError):
                body = json.loads(raw or b"{}")
                fields |= body if isinstance(body, dict) else {}
        case "application/x-www-form-urlencoded":
            fields |= dict(await request.post())
        case "multipart/form-data":
            fields |= await _parts(request, raw)
    return fields


async def _parts(request: web.Request, raw: bytes) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    stream = StreamReader(BaseProtocol(loop), max(len(raw), 2**16), loop=loop)
    stream.feed_data(raw)
    stream.feed_eof()
    fields: dict[str, Any] = {}
    async for part in MultipartReader(request.headers, stream):
        assert isinstance(part, BodyPartReader)
        assert part.name
        content = bytes(await part.read())
        media_type = part.headers.get("Content-Type", "application/octet-stream")
        is_file = part.filename is not None
        fields[part.name] = (
            Upload(part.filename or "", content, media_type) if is_file else content.decode()
        )
    return fields


def _response(body: Body, status: int) -> web.Response:
    if isinstance(body, dict):
        return web.json_response(body, status=status)
    return web.Response(body=body, status=status, content_type="text/html")


def _cut(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()
