"""KEEPS: the only place that speaks SQL. A piece of work runs whole, in one transaction."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from bot.store.keys import KeyRing

__all__ = [
    "Session",
    "Store",
    "StoreUnavailable",
    "seal",
    "seal_bytes",
    "unseal",
    "unseal_bytes",
]

P = ParamSpec("P")
T = TypeVar("T")

_POSTGRES_THREADS = 8
_LOCK_SECONDS = 1
_MIGRATING = 7202511
"""A number of our own for PostgreSQL's advisory lock."""


class StoreUnavailable(Exception):  # noqa: N818 - a fact, not a failure
    """The database is locked, gone, or refuses: nothing of this transaction was kept."""


class Store:
    """The database: one thread hop for one transaction.

    SQLite gets one writer thread and takes its lock at once, so that two processes never wait for
    each other half-way; PostgreSQL gets a pool.
    """

    def __init__(self, url: str, keys: KeyRing, *, durable: bool = True) -> None:
        self.engine = _engine(url, durable=durable)
        self._light = self.engine.execution_options(light=True)
        self._keys = keys
        threads = 1 if self.engine.dialect.name == "sqlite" else _POSTGRES_THREADS
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")

    async def run(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a function of a session whole, in one transaction, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: self._run(self.engine, work, *args, **kwargs)
        )

    async def run_light(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same without waiting for the disk: for reading, and for what may be forgotten when
        the machine loses its power, such as a lease."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: self._run(self._light, work, *args, **kwargs)
        )

    def run_here(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same in the calling thread: for the command line and for tests."""
        return self._run(self.engine, work, *args, **kwargs)

    def _run(
        self,
        engine: Engine,
        work: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            with (
                Session(engine, expire_on_commit=False, info={"keys": self._keys}) as session,
                session.begin(),
            ):
                return work(session, *args, **kwargs)
        except (IntegrityError, DataError, ProgrammingError):
            raise
        except DBAPIError as error:
            raise StoreUnavailable(type(error.orig).__name__) from error

    def migrate(self) -> None:
        """Brings the tables to the newest form; of several processes at once, one by one."""
        from alembic import command  # noqa: PLC0415 - only when it is needed: it takes its time
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        try:
            with self.engine.begin() as connection:
                if self.engine.dialect.name == "postgresql":
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except DBAPIError as error:
            raise StoreUnavailable(str(error.orig)) from error

    def close(self) -> None:
        """Waits for running transactions and lets the database go."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()


def seal(session: Session, words: str, context: str) -> bytes:
    """Encrypts words for one column."""
    keys: KeyRing = session.info["keys"]
    return keys.seal(words, context)


def unseal(session: Session, sealed: bytes, context: str) -> str:
    """Decrypts words of one column; raises KeysUnusable."""
    keys: KeyRing = session.info["keys"]
    return keys.unseal(sealed, context)


def seal_bytes(session: Session, content: bytes, context: str) -> bytes:
    """Encrypts the content of a file for one column."""
    keys: KeyRing = session.info["keys"]
    return keys.seal_bytes(content, context)


def unseal_bytes(session: Session, sealed: bytes, context: str) -> bytes:
    """Decrypts the content of a file of one column; raises KeysUnusable."""
    keys: KeyRing = session.info["keys"]
    return keys.unseal_bytes(sealed, context)


def _engine(url: str, *, durable: bool) -> Engine:
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"), hide_parameters=True)
    if engine.dialect.name != "sqlite":

        @event.listens_for(engine, "begin")
        def begin_light(connection: Connection) -> None:
            if connection.get_execution_options().get("light"):
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

        return engine

    forced = "FULL" if durable else "OFF"

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={forced}",
            "foreign_keys=ON",
            f"busy_timeout={_LOCK_SECONDS * 1000}",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        light = durable and connection.get_execution_options().get("light", False)
        if light != connection.info.get("light", False):
            connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if light else forced}")
            connection.info["light"] = light
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
