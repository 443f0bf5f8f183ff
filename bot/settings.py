"""Settings of a running assistant: `MOTCUA_…` in the environment (docs/operations.md)."""

from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound=BaseSettings)

CHECKOUT = Path(__file__).resolve().parent.parent


class BadSettings(Exception):  # noqa: N818 - a fact, not a failure
    """A setting that cannot be used, with what to write instead."""


class Settings(BaseSettings):
    """What an operator may set; every default is safe on one machine."""

    model_config = SettingsConfigDict(
        env_prefix="MOTCUA_", env_file=CHECKOUT / ".env", extra="ignore"
    )

    data: Path = Field(CHECKOUT / "data", description="Folder of knowledge, sentences and replies.")
    var: Path = Field(
        CHECKOUT / "var",
        description="Folder of all that is made while it runs: database, keys, token, model.",
    )
    database_url: str = Field(
        "", description="SQLAlchemy URL of the database; empty means SQLite in MOTCUA_VAR."
    )
    host: str = Field("127.0.0.1", description="Address on which the gateway listens.")
    port: int = Field(8080, ge=0, le=65535, description="Port on which the gateway listens.")
    public_url: str = Field(
        "",
        description="Address under which citizens reach the web chat; empty means host and port.",
    )
    behind_proxy: bool = Field(
        False,
        description="Whether a proxy of ours stands in front and names the visitor's address last "
        "in X-Forwarded-For; never set it without one.",
    )
    nlu_url: str = Field(
        "http://127.0.0.1:5005", description="Where nlu listens, or where `motcua run` starts it."
    )
    model: Path = Field(
        CHECKOUT / "var" / "model" / "nlu.tar.gz", description="The model that training leaves."
    )
    nlu_timeout: float = Field(
        2.0, gt=0, description="Seconds to wait for nlu to understand a text."
    )
    office: str = Field(
        "ubnd_phuong_vi_du", description="Id of the office to which the web chat belongs."
    )
    words_days: int = Field(
        30, gt=0, description="Days for which the words of a conversation are kept."
    )
    messages_per_minute: int = Field(
        20, gt=0, description="Messages that one visitor of the web chat may send in a minute."
    )

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, url: str) -> str:
        parts = urlsplit(url.rstrip("/"))
        if url and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path):
            raise ValueError("give http:// or https:// and a host, without a path")
        return url.rstrip("/")

    @property
    def database(self) -> str:
        """The database's URL, with the default in place."""
        return self.database_url or f"sqlite:///{self.var / 'motcua.db'}"

    @property
    def keys(self) -> Path:
        """The key ring; losing it loses every personal word."""
        return self.var / "keys.json"

    @property
    def nlu_token(self) -> Path:
        """The file with the token that nlu asks for."""
        return self.var / "nlu-token"


def load_settings() -> Settings:
    """The settings of this environment; raises BadSettings."""
    return from_environment(Settings)


def from_environment(kind: type[S]) -> S:
    """Settings of one kind, ours or a channel's, in this environment; raises BadSettings."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config["env_prefix"]
        wrong = (f"{prefix}{str(d['loc'][0]).upper()}: {d['msg']}" for d in error.errors())
        raise BadSettings("\n".join(wrong)) from None
