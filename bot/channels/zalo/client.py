"""Zalo's API over HTTP, and the tokens that it asks for: sections 3.1, 3.6 and 3.7."""

import asyncio
import base64
import hashlib
import json
import logging
import secrets
import string
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    FormData,
    TCPConnector,
)

from bot.channel import OutcomeUnknown, TryLater
from bot.channels.zalo.events import CHANNEL, Anonymous
from bot.channels.zalo.refusals import (
    ACCOUNT_REST,
    RATE_LIMIT,
    TOKEN_REFUSED,
    ZaloRefused,
    to_next_minute,
)
from bot.channels.zalo.settings import ZaloSettings
from bot.reception import Reception
from bot.store import StoreUnavailable
from bot.store.keys import KeysUnusable

log = logging.getLogger(__name__)

NOT_CONNECTED = "not connected: run motcua zalo connect"
CONSENT_ENDED = "consent must be renewed: run motcua zalo connect"

_RENEWED_AFTER = 0.8
"""The part of its life after which an access token is renewed: 20 of 25 hours."""

_LIFE = timedelta(hours=25)
_CLAIM = timedelta(seconds=30)
_SOON = timedelta(seconds=1)
_HALF_A_MINUTE = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_UNREACHABLE_WAIT = timedelta(seconds=15)
_VERIFIER = 43


@dataclass(frozen=True)
class Tokens:
    """An access token, with the refresh token that is good for one renewal of it."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    due_at: datetime
    ends_at: datetime

    @classmethod
    def given(cls, answer: Mapping[str, Any], now: datetime) -> Self | None:
        """The tokens in an answer of the consent host, if there are any."""
        access, refresh = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(access, str) or not isinstance(refresh, str) or not (access and refresh):
            return None
        life = _life(answer.get("expires_in"))
        return cls(access, refresh, now + life * _RENEWED_AFTER, now + life)

    @classmethod
    def kept(cls, kept: Mapping[str, str]) -> Self | None:
        """The tokens as they were kept, if there are any."""
        if not kept:
            return None
        due_at, ends_at = (datetime.fromisoformat(kept[name]) for name in ("due_at", "ends_at"))
        return cls(kept["access"], kept["refresh"], due_at, ends_at)

    def to_keep(self) -> dict[str, str]:
        """What is kept, sealed."""
        return {
            "access": self.access,
            "refresh": self.refresh,
            "due_at": self.due_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }


def _life(expires_in: object) -> timedelta:
    """How long an access token lives: seconds, as a number or in text."""
    try:
        seconds = float(str(expires_in))
    except ValueError:
        return _LIFE
    return timedelta(seconds=seconds) if 0 < seconds <= 10**8 else _LIFE


class Wire:
    """HTTP to Zalo: answers are read and refusals named; nothing of a request is logged."""

    def __init__(self, settings: ZaloSettings) -> None:
        self._settings = settings
        self._http: ClientSession | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Holds the session; each call has its own connection, so that one that breaks was ours."""
        total = self._settings.timeout
        limits = ClientTimeout(total=total, connect=total / 2)
        connector = TCPConnector(force_close=True)
        async with ClientSession(connector=connector, timeout=limits) as http:
            self._http = http
            try:
                yield
            finally:
                self._http = None

    async def call(self, path: str, token: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The data that one call gives; raises ZaloRefused, TryLater or OutcomeUnknown."""
        url = self._settings.api + path
        answer = await self._post(url, {"access_token": token}, request)
        code = _code(answer)
        if code is None:
            raise OutcomeUnknown("Zalo's answer says neither yes nor no")
        if code != 0:
            raise ZaloRefused(code)
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    async def tokens(self, form: Mapping[str, str], now: datetime) -> Tokens:
        """Tokens for a code or for a refresh token; raises as `call` does."""
        url = f"{self._settings.oauth}/v4/oa/access_token"
        secret = {"secret_key": self._settings.app_secret.get_secret_value()}
        fields = {**form, "app_id": self._settings.app_id}
        answer = await self._post(url, secret, {"data": fields})
        tokens = Tokens.given(answer, now)
        if tokens is None:
            raise ZaloRefused(_code(answer) or 0)
        return tokens

    async def _post(
        self, url: str, headers: Mapping[str, str], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        if self._http is None:
            raise TryLater("the channel is not running")
        try:
            async with self._http.post(
                url, headers=headers, allow_redirects=False, **request
            ) as response:
                return _answer(response.status, response.headers, await response.read())
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            reason = f"Zalo cannot be reached ({type(error).__name__})"
            raise TryLater(reason, after=_UNREACHABLE_WAIT, all_people=True) from None
        except (ClientError, TimeoutError) as error:
            raise OutcomeUnknown(f"Zalo did not answer ({type(error).__name__})") from None


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if status == 429:
        wait = _wait(headers) or timedelta(minutes=1)
        raise TryLater("Zalo answered 429", after=wait, all_people=True)
    if status >= 500:
        raise TryLater(f"Zalo answered {status}", after=_wait(headers))
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise TryLater(f"Zalo answered {status} without JSON")
    return answer


def _wait(headers: Mapping[str, str]) -> timedelta | None:
    asked = headers.get("Retry-After", "")
    if not asked.isascii() or not asked.isdecimal():
        return None
    return min(timedelta(seconds=min(int(asked[:9]), 10**6)), _LONGEST_WAIT)


def _code(answer: Mapping[str, Any]) -> int | None:
    """The error code of an answer, as a number or in text; None where there is none."""
    code = answer.get("error")
    if isinstance(code, bool) or not isinstance(code, int | str):
        return None
    try:
        return int(code)
    except ValueError:
        return None


class Access:
    """The account's tokens: kept sealed, renewed by one process at a time, kept before use."""

    def __init__(self, wire: Wire, reception: Reception, account: str) -> None:
        self._wire = wire
        self._reception = reception
        self._account = account
        self._lock = asyncio.Lock()
        self._renewals: set[asyncio.Task[Tokens]] = set()
        self._job = f"zalo refresh {account}"
        self._unkept: Tokens | None = None
        self._rests_until: datetime | None = None

    @property
    def rests(self) -> bool:
        """Whether a renewal went wrong a short while ago."""
        return self._rests_until is not None and self._reception.clock() < self._rests_until

    async def tokens(self) -> Tokens:
        """Tokens to call with now, renewed when it is time; raises TryLater.

        Where the renewal must wait, the token is used for as long as it lives.
        """
        kept, now = await self._kept(), self._reception.clock()
        if now < kept.due_at or (self.rests and now < kept.ends_at):
            return kept
        try:
            return await self.renewed(kept)
        except TryLater:
            if now >= kept.ends_at:
                raise
            self._rests_until = now + ACCOUNT_REST
            return kept

    async def renewed(self, used: Tokens) -> Tokens:
        """Other tokens than those that were used; raises TryLater.

        A renewal goes on when nobody waits for it any more: its answer cannot be had twice.
        """
        renewal = asyncio.create_task(self._alone(used))
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewals.discard)
        return await asyncio.shield(renewal)

    async def settled(self) -> None:
        """Waits until no renewal is under way."""
        await asyncio.gather(*self._renewals, return_exceptions=True)

    async def _alone(self, used: Tokens) -> Tokens:
        async with self._lock:
            kept = await self._kept()
            if kept.access != used.access:
                return kept
            if not await self._reception.claim(self._job, _CLAIM):
                raise TryLater("another process renews the access token", after=_SOON)
            try:
                return await self._renewed(used)
            finally:
                await self._release()

    async def _renewed(self, used: Tokens) -> Tokens:
        kept = await self._kept()
        if kept.access != used.access:
            return kept
        self._unkept = await self._asked(kept)
        self._rests_until = None
        return await self._kept()

    async def _release(self) -> None:
        try:
            await self._reception.release(self._job)
        except StoreUnavailable:
            log.warning("zalo: the renewal of the token stays claimed for a while")

    async def _asked(self, kept: Tokens) -> Tokens:
        form = {"grant_type": "refresh_token", "refresh_token": kept.refresh}
        now = self._reception.clock()
        try:
            return await self._wire.tokens(form, now)
        except OutcomeUnknown:
            reason = "the answer to a renewal of the token was lost"
            raise TryLater(reason, after=_HALF_A_MINUTE, all_people=True) from None
        except TryLater as later:
            after = later.after or _HALF_A_MINUTE
            raise TryLater(str(later), after=after, all_people=True) from None
        except ZaloRefused as refusal:
            if refusal.code == RATE_LIMIT:
                raise TryLater(str(refusal), after=to_next_minute(now), all_people=True) from None
            raise await self._trouble(CONSENT_ENDED, refusal.code) from None

    async def _kept(self) -> Tokens:
        """The tokens as every process knows them; new ones that could not be kept go first."""
        if (unkept := self._unkept) is not None:
            await self._reception.keep_secrets(CHANNEL, self._account, unkept.to_keep())
            if self._unkept is unkept:
                self._unkept = None
            return unkept
        try:
            found = Tokens.kept(await self._reception.secrets(CHANNEL, self._account))
        except KeysUnusable:
            found = None
        if found is None:
            raise await self._trouble(NOT_CONNECTED, None)
        return found

    async def _trouble(self, reason: str, code: int | None) -> TryLater:
        log.error("zalo: %s (code %s)", reason, code)
        await self._reception.trouble(CHANNEL, self._account, reason)
        return TryLater(reason, after=ACCOUNT_REST, all_people=True)


class Client:
    """Calls in the account's name; a token that is refused is renewed, once."""

    def __init__(self, wire: Wire, access: Access) -> None:
        self._wire = wire
        self._access = access

    async def send(self, person: str, message: Mapping[str, Any]) -> None:
        """Sends one message; raises ZaloRefused, TryLater or OutcomeUnknown."""
        path, recipient = "/v3.0/oa/message/cs", {"user_id": person}
        if anonymous := Anonymous.of(person):
            path = "/v2.0/oa/message"
            recipient = {
                "anonymous_id": anonymous.id,
                "conversation_id": anonymous.conversation,
            }
        body = {"recipient": recipient, "message": message}
        await self._call(path, lambda: {"json": body})

    async def upload(self, kind: str, name: str, content: bytes, media_type: str) -> str:
        """Uploads an `image`, a `gif` or a `file`; gives what a message names it by."""

        def form() -> dict[str, Any]:
            data = FormData(quote_fields=False)
            data.add_field("file", content, filename=name, content_type=media_type)
            return {"data": data}

        try:
            data = await self._call(f"/v2.0/oa/upload/{kind}", form)
        except OutcomeUnknown as error:
            raise TryLater(str(error)) from None
        named = data.get("token" if kind == "file" else "attachment_id")
        if not isinstance(named, str) or not named:
            raise TryLater("Zalo's answer to an upload names nothing")
        return named

    async def _call(self, path: str, request: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        tokens = await self._access.tokens()
        try:
            return await self._wire.call(path, tokens.access, request())
        except ZaloRefused as refusal:
            if refusal.code not in TOKEN_REFUSED:
                raise
        tokens = await self._access.renewed(tokens)
        return await self._wire.call(path, tokens.access, request())


# Consent.


def draw_verifier() -> str:
    """A secret of 43 letters and digits of both cases, which only we know until the exchange."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    while True:
        drawn = "".join(secrets.choice("".join(kinds)) for _ in range(_VERIFIER))
        if all(set(kind) & set(drawn) for kind in kinds):
            return drawn


def consent_link(settings: ZaloSettings, redirect: str, verifier: str, state: str) -> str:
    """Where an administrator of the account lets our app act for it."""
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "app_id": settings.app_id,
        "redirect_uri": redirect,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "state": state,
    }
    return f"{settings.oauth}/v4/oa/permission?{urlencode(asked)}"


async def exchanged(settings: ZaloSettings, code: str, verifier: str, now: datetime) -> Tokens:
    """The first tokens, for the code that consent gave; raises as `Wire.call` does."""
    wire = Wire(settings)
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    async with wire.opened():
        return await wire.tokens(form, now)
