"""Fetches a citizen's file from Zalo's file hosts, and from nowhere else: reference 3.4."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from aiohttp import (
    ClientConnectorDNSError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    InvalidURL,
    TCPConnector,
    ThreadedResolver,
)
from aiohttp.abc import ResolveResult

from bot.channel import FileGone, TryLater
from bot.channels.zalo.settings import is_loopback

_CHUNK = 64 * 1024
_PORTS = frozenset({None, 443})


class NotPublic(OSError):  # noqa: N818 - a fact, not a failure
    """A file host's name leads to an address that is not on the public internet."""


async def fetched(url: str, hosts: Sequence[str], *, most_bytes: int, seconds: float) -> bytes:
    """The content of a file; raises FileGone or TryLater."""
    if not may_be_fetched(url, hosts):
        raise FileGone("the file is not at a host from which files are fetched")
    limits = ClientTimeout(total=seconds, connect=seconds / 2)
    connector = TCPConnector(resolver=_PublicResolver(hosts), force_close=True)
    try:
        async with (
            ClientSession(connector=connector, timeout=limits) as http,
            http.get(url, allow_redirects=False) as response,
        ):
            return await _content(response, most_bytes)
    except ClientConnectorDNSError as error:
        if isinstance(error.os_error, NotPublic):
            raise FileGone(str(error.os_error)) from None
        raise TryLater("the file host's name cannot be looked up") from None
    except InvalidURL:
        raise FileGone("the file's address is none") from None
    except (ClientError, TimeoutError) as error:
        raise TryLater(f"the file host did not answer ({type(error).__name__})") from None


def may_be_fetched(url: str, hosts: Sequence[str]) -> bool:
    """Whether an address is at one of the hosts, by https, on the usual port.

    A listed host on this machine may be reached by http too.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None:
        return False
    if is_loopback(host):
        return host in hosts and parts.scheme in {"http", "https"}
    return _by_https(parts, port) and not _is_address(host) and _below(host, hosts)


def _by_https(parts: SplitResult, port: int | None) -> bool:
    return parts.scheme == "https" and port in _PORTS


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _below(host: str, hosts: Sequence[str]) -> bool:
    return any(host == one or host.endswith(f".{one}") for one in hosts)


async def _content(response: ClientResponse, most_bytes: int) -> bytes:
    if response.status == 429 or response.status >= 500:
        raise TryLater(f"the file host answered {response.status}")
    if response.status != 200:
        raise FileGone(f"the file host answered {response.status}")
    if (response.content_length or 0) > most_bytes:
        raise FileGone("the file is too large")
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > most_bytes:
            raise FileGone("the file is too large")
    return bytes(content)


class _PublicResolver(ThreadedResolver):
    """Gives only addresses on the public internet, except for a listed name of this machine."""

    def __init__(self, hosts: Sequence[str]) -> None:
        super().__init__()
        self._hosts = hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of a host; raises NotPublic where it has others only."""
        found = await super().resolve(host, port, family)
        if is_loopback(host) and host in self._hosts:
            return found
        public = [one for one in found if ip_address(one["host"]).is_global]
        if not public:
            raise NotPublic("the file host has no public address")
        return public
