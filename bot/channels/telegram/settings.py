"""Settings of the Telegram channel: `MOTCUA_TELEGRAM_…` in the environment."""

import re
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.settings import CHECKOUT, BadSettings, from_environment

_TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]+")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_PUBLIC_API = "https://api.telegram.org/"
_PORTS = (None, 443, 80, 88, 8443)


class TelegramSettings(BaseSettings):
    """What an operator may set; without a token the channel is off."""

    model_config = SettingsConfigDict(
        env_prefix="MOTCUA_TELEGRAM_", env_file=CHECKOUT / ".env", extra="ignore"
    )

    token: SecretStr = Field(
        SecretStr(""), description="Token of the bot, from @BotFather; empty means no Telegram."
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Secret of the webhook, 1 to 256 of A-Z a-z 0-9 _ -; with it and "
        "MOTCUA_PUBLIC_URL Telegram brings messages to us, otherwise we fetch them.",
    )
    api_url: str = Field(
        "https://api.telegram.org/bot",
        description="Beginning of the Bot API's addresses, before the token.",
    )
    file_url: str = Field(
        "https://api.telegram.org/file/bot",
        description="Beginning of the addresses of files, before the token.",
    )
    timeout: float = Field(
        8.0, gt=0, description="Seconds to wait for Telegram to connect or to answer."
    )
    poll_seconds: int = Field(
        25, ge=1, le=50, description="Seconds for which one fetch of messages stays open."
    )
    text_units: int = Field(
        4000, ge=100, le=4096, description="Longest text of one message, in UTF-16 units."
    )
    file_megabytes: int = Field(
        10, ge=1, le=20, description="Largest file of a citizen that is fetched, in MB."
    )

    @property
    def account(self) -> str:
        """The bot's id: the token's first half, which is no secret."""
        return self.token.get_secret_value().partition(":")[0]

    @property
    def route(self) -> str:
        """Where Telegram brings messages, on our address."""
        return f"/telegram/{self.account}"

    def webhook(self, public_url: str) -> str | None:
        """The address of the webhook; None where messages are fetched. Raises BadSettings."""
        if not self.secret.get_secret_value() or not public_url:
            return None
        if self.api_url.startswith(_PUBLIC_API) and not _reachable(public_url):
            raise BadSettings(
                "MOTCUA_PUBLIC_URL: Telegram brings messages only to https, on port 443, 80, 88 or "
                "8443; give such an address, or leave MOTCUA_TELEGRAM_SECRET empty to fetch them"
            )
        return f"{public_url.rstrip('/')}{self.route}"


def load_telegram_settings() -> TelegramSettings | None:
    """The settings of this environment, None where Telegram is off; raises BadSettings."""
    return checked(from_environment(TelegramSettings))


def checked(settings: TelegramSettings) -> TelegramSettings | None:
    """The settings if they are whole, None where Telegram is off; raises BadSettings."""
    token, secret = settings.token.get_secret_value(), settings.secret.get_secret_value()
    if secret and not _SECRET.fullmatch(secret):
        raise BadSettings("MOTCUA_TELEGRAM_SECRET: write 1 to 256 of A-Z a-z 0-9 _ -")
    if not token and secret:
        raise BadSettings("MOTCUA_TELEGRAM_TOKEN: is empty, but MOTCUA_TELEGRAM_SECRET is set")
    if not token:
        return None
    if not _TOKEN.fullmatch(token):
        raise BadSettings(
            "MOTCUA_TELEGRAM_TOKEN: write the token as @BotFather gave it: digits, a colon, letters"
        )
    return settings


def _reachable(public_url: str) -> bool:
    url = urlsplit(public_url)
    try:
        return url.scheme == "https" and bool(url.hostname) and url.port in _PORTS
    except ValueError:
        return False
