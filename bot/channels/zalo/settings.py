"""Settings of the Zalo channel: `MOTCUA_ZALO_…` in the environment."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.settings import CHECKOUT, BadSettings, from_environment


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _guarded(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("must begin with https:// (http:// only on this machine)")
    return url.rstrip("/")


def _guarded_or_empty(url: str) -> str:
    return _guarded(url) if url else ""


Url = Annotated[str, AfterValidator(_guarded)]


class ZaloSettings(BaseSettings):
    """What an operator may set about the Official Account; without an app id it is off."""

    model_config = SettingsConfigDict(
        env_prefix="MOTCUA_ZALO_", env_file=CHECKOUT / ".env", extra="ignore"
    )

    app_id: str = Field(
        "", description="Id of the app at developers.zalo.me; empty means no Zalo channel."
    )
    app_secret: SecretStr = Field(
        SecretStr(""), description="Secret key of the app; renews the access token."
    )
    oa_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret key of the Official Account (page Webhook of the app); signs events.",
    )
    oa_id: str = Field("", description="Id of the Official Account.")
    api: Url = Field("https://openapi.zalo.me", description="Where Zalo's API is.")
    oauth: Url = Field(
        "https://oauth.zaloapp.com", description="Where consent is given and tokens are renewed."
    )
    buttons: bool = Field(
        True, description="Whether choices are also sent as buttons; numbers are always in words."
    )
    paid_messages: bool = Field(
        True,
        description="Whether to write later than MOTCUA_ZALO_FREE_HOURS after a person's last "
        "sign, which Zalo bills; otherwise the message waits until they write again.",
    )
    file_hosts: str = Field(
        "zdn.vn",
        description="Hosts from which citizens' files are fetched, with their subdomains; "
        "separated by commas.",
    )
    contact_picture: Annotated[str, AfterValidator(_guarded_or_empty)] = Field(
        "",
        description="Address of the picture on the card that asks for a telephone number, which "
        "Zalo wants there; empty means that the number is asked for in words.",
    )
    timeout: float = Field(
        15.0, gt=0, le=25, description="Seconds to wait for an answer of Zalo's API."
    )
    text_limit: int = Field(2000, ge=100, description="Longest text of one message.")
    calls_per_minute: int = Field(
        4000, ge=60, description="Calls that Zalo allows the app in a minute; we stay below."
    )
    free_hours: int = Field(
        48, gt=0, description="Hours after a person's last sign in which messages are free."
    )
    window_days: int = Field(
        7, gt=0, description="Days after a person's last sign in which they can be written to."
    )
    image_bytes: int = Field(1_000_000, gt=0, description="Largest image that may be sent.")
    file_bytes: int = Field(
        5_000_000, gt=0, description="Largest document or moving picture that may be sent."
    )
    fetch_bytes: int = Field(
        10_000_000, gt=0, description="Largest file of a citizen that is fetched."
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts from which files are fetched."""
        return tuple(h.strip().lower() for h in self.file_hosts.split(",") if h.strip())


def load_zalo_settings() -> ZaloSettings | None:
    """The settings of this environment, None where there is no app; raises BadSettings."""
    return checked(from_environment(ZaloSettings))


def checked(settings: ZaloSettings) -> ZaloSettings | None:
    """The same settings, None where there is no app; raises BadSettings where they are half."""
    if not settings.app_id:
        return None
    given = {
        "APP_SECRET": settings.app_secret.get_secret_value(),
        "OA_SECRET": settings.oa_secret.get_secret_value(),
        "OA_ID": settings.oa_id,
    }
    missing = [f"MOTCUA_ZALO_{name}" for name, value in given.items() if not value]
    if missing:
        raise BadSettings(f"MOTCUA_ZALO_APP_ID is set, but not {', '.join(missing)}")
    return settings
