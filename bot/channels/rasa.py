"""Rasa's action protocol: an agency's own assistant calls our verbs as its custom actions.

It runs beside on this machine, for migration and comparison (docs/channels/rasa.md). The whole turn
is kept in one transaction before Rasa gets the answer; its tracker is read, never kept or logged.
"""

import ipaddress
import json
import logging
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from actions.action import Understanding
from bot.dialogue import Intent, load_intents
from bot.message import Block, ChoicesBlock, Message, Sender, TextBlock
from bot.plain import plain_text
from bot.reception import Reception
from bot.settings import CHECKOUT, BadSettings, from_environment
from bot.store import Session, conversations, inbox, outbox
from bot.store.conversations import Lease
from bot.store.inbox import Waiting
from bot.turn import House, fail_turn, take_turn
from bot.understanding import Ear, Nlu, Parse

if TYPE_CHECKING:
    from rasa_sdk.executor import ActionExecutor, CollectingDispatcher
    from rasa_sdk.interfaces import Tracker
    from rasa_sdk.types import DomainDict

__all__ = ["RasaActions", "RasaSettings", "action_name", "open_channel"]

log = logging.getLogger(__name__)

CHANNEL = "rasa"
ROUTE = "/rasa/webhook"
PRESS = "motcua_press"
"""The intent under which a pressed button comes back, with its token as the entity `TOKEN`."""
TOKEN = "token"  # noqa: S105 - the entity's name
TURN = "motcua_turn"
"""The action that leaves the choice to our dialogue."""
FORM = "motcua_case_form"
"""The loop that is active while a form of ours is open, and the action that Rasa then runs."""

_BODY_BYTES = 10 * 2**20
_LONGEST_SENDER = 200
_NOT_RASA = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via", "Origin")
"""Headers of proxies and browsers, which Rasa never sends."""
_USUAL = {"answer": "ask_procedure"}

Event = dict[str, Any]
Run = Callable[[str, "CollectingDispatcher", "Tracker"], Awaitable[list[Event]]]


class RasaSettings(BaseSettings):
    """What an operator may set; the channel is off until it is switched on."""

    model_config = SettingsConfigDict(
        env_prefix="MOTCUA_", env_file=CHECKOUT / ".env", extra="ignore"
    )

    rasa: bool = Field(
        False,
        description="Whether a Rasa assistant on this machine may call our verbs as its custom "
        "actions, at /rasa/webhook.",
    )


def action_name(verb: str) -> str:
    """The custom action that is a verb."""
    return f"motcua_{verb}"


def open_channel(reception: Reception) -> "RasaActions | None":
    """The channel, where it is switched on; raises BadSettings."""
    return RasaActions(reception) if from_environment(RasaSettings).rasa else None


class RasaActions:
    """One route, on which a Rasa assistant runs our verbs."""

    name = CHANNEL

    def __init__(self, reception: Reception) -> None:
        settings, house = reception.settings, reception.house
        self._reception = reception
        self._nlu = Nlu(settings.nlu_url, settings.nlu_token, settings.nlu_timeout)
        self._ear = Ear(self._nlu, house.finder, house.shorthand)
        self._chosen = Chosen(load_intents(settings.data / "intents.yml"))
        self._executor = _executor([*self._chosen.actions, TURN, FORM], self.run)

    def add_to(self, app: web.Application) -> None:
        """Adds the route, and the way to our own nlu."""
        app.router.add_post(ROUTE, self.webhook)
        app.cleanup_ctx.append(self._open_nlu)

    async def _open_nlu(self, _app: web.Application) -> AsyncIterator[None]:
        async with self._nlu:
            yield

    async def webhook(self, request: web.Request) -> web.Response:
        """Runs the action that Rasa asks for; answers as rasa-sdk's own server does."""
        if not _is_beside_us(request):
            return _refusal(403, "only a Rasa assistant on this machine may call")
        try:
            body = await request.clone(client_max_size=_BODY_BYTES).read()
        except web.HTTPRequestEntityTooLarge:
            return _refusal(413, f"over {_BODY_BYTES} bytes: start a new session in Rasa")
        call = _Call.read(body) if request.content_type == "application/json" else None
        if call is None:
            return _refusal(400, "not a call of a custom action")
        if call.next_action not in self._executor.actions:
            error = f"No registered action found for name '{call.next_action}'."
            return _refusal(404, error, action_name=call.next_action)
        result = await self._executor.run(call.for_executor())
        return web.json_response(result.model_dump() if result else None)

    async def run(
        self, action: str, dispatcher: "CollectingDispatcher", tracker: "Tracker"
    ) -> list[Event]:
        """What our turn committed, as Rasa's responses and events."""
        said = Tracked.of(tracker)
        taken = await self._take(action, said)
        for blocks in taken.replies:
            dispatcher.utter_message(text=plain_text(blocks), buttons=_buttons(blocks))
        return _events(action, said, is_open=taken.form_open)

    async def _take(self, action: str, said: "Tracked") -> "Taken":
        reception, now = self._reception, self._reception.clock()
        message = said.message(action, reception.office.id, now)
        try:
            understanding = await self._understand(action, said)
            taken = await reception.store.run(
                _take, message, understanding, reception.house, reception.office.id, now
            )
        except Exception as error:
            _log_failure(action, error)
            return await self._fail(message, type(error).__name__, now)
        log.info("turn channel=rasa action=%s intent=%s", action, understanding.intent)
        return taken

    async def _fail(self, message: Message, error: str, now: datetime) -> "Taken":
        """The turn kept nothing: it is told, and the message stays for an operator if it can."""
        reception = self._reception
        try:
            return await reception.store.run(
                _fail, message, error, reception.house, reception.office.id, now
            )
        except Exception as again:
            _log_failure("failing", again)
            return Taken(((TextBlock(text=reception.words("went_wrong")),),), None)

    async def _understand(self, action: str, said: "Tracked") -> Understanding:
        """What our nlu and finder make of a message; who chose the action has chosen the intent."""
        if said.token is not None:
            return Understanding("", "")
        parse = said.parse
        meant = (
            self._ear.joined(said.text, parse)
            if parse is not None
            else await self._ear.understand(said.text)
        )
        return self._chosen.understanding(action, said, meant)


@dataclass(frozen=True)
class Tracked:
    """What a tracker tells of the message that is to be answered."""

    person: str
    text: str
    token: str | None
    intent: str | None
    intents: Mapping[str, float]
    parse: Parse | None
    in_form: bool

    @classmethod
    def of(cls, tracker: "Tracker") -> "Tracked":
        """Reads a tracker."""
        latest = _Latest.model_validate(tracker.latest_message)
        is_press = latest.intent.name == PRESS
        tokens = [e.value for e in latest.entities if is_press and e.entity == TOKEN]
        return cls(
            person=tracker.sender_id,
            text="" if latest.is_payload else latest.words,
            token=str(tokens[-1]) if tokens else None,
            intent=latest.intent.name,
            intents={i.name: i.confidence for i in latest.intent_ranking if i.name},
            parse=None if latest.is_payload else _parse(tracker.latest_message),
            in_form=(tracker.active_loop or {}).get("name") == FORM,
        )

    def message(self, action: str, office: str, now: datetime) -> Message:
        """The message, under an id of our own: Rasa never brings one twice."""
        nothing = not self.text and self.token is None and self.intent is None
        return Message(
            Sender(CHANNEL, office, self.person),
            uuid.uuid4().hex,
            now,
            self.text,
            self.token,
            opened=nothing and action == TURN,
        )


class Chosen:
    """Which intent of ours is meant by the action that an assistant chose."""

    def __init__(self, intents: Iterable[Intent]) -> None:
        self._verbs: dict[str, str] = {intent.id: intent.verb for intent in intents}

    @property
    def actions(self) -> list[str]:
        """Every verb as a custom action."""
        return [action_name(verb) for verb in dict.fromkeys(self._verbs.values())]

    def understanding(self, action: str, said: Tracked, meant: Understanding) -> Understanding:
        """An understanding with the intent of the chosen verb; where the choice was left to us,
        Rasa's own classifier counts when our nlu has nothing to say."""
        intent = self._intent(action, said, meant)
        if intent is not None:
            return replace(meant, intent=intent, confidence=1.0, intents={intent: 1.0})
        ours = {name: sure for name, sure in said.intents.items() if name in self._verbs}
        if not ours or (said.text and meant.intent in self._verbs):
            return meant
        likeliest = max(ours, key=lambda name: ours[name])
        return replace(meant, intent=likeliest, confidence=ours[likeliest], intents=ours)

    def _intent(self, action: str, said: Tracked, meant: Understanding) -> str | None:
        """Rasa's intent where the verb answers it, else the likeliest one that the verb answers."""
        verb = next((verb for verb in self._verbs.values() if action_name(verb) == action), None)
        if verb is None:
            return None
        likely = (said.intent, meant.intent, *_ranked(said.intents), *_ranked(meant.intents))
        fitting = (name for name in likely if name and self._verbs.get(name) == verb)
        return next(fitting, self._usual(verb))

    def _usual(self, verb: str) -> str | None:
        """The intent that a verb mostly answers; none for one that has a reply for each intent."""
        if verb == "say":
            return None
        if self._verbs.get(verb) == verb:
            return verb
        return _USUAL.get(verb) or next(name for name, v in self._verbs.items() if v == verb)


def _ranked(intents: Mapping[str, float]) -> Sequence[str]:
    return sorted(intents, key=lambda name: -intents[name])


# A turn, in one transaction.


@dataclass(frozen=True)
class Taken:
    """What Rasa is to say, and whether a form of ours is open; None where nobody knows."""

    replies: tuple[tuple[Block, ...], ...]
    form_open: bool | None


def _take(
    session: Session,
    message: Message,
    understanding: Understanding,
    house: House,
    office: str,
    now: datetime,
) -> Taken:
    held, waiting = _admit(session, message, house, office, now)
    turn = take_turn(session, held, waiting, understanding, house, now)
    return Taken(_sent(session, held, now), turn.outcome.remember.form is not None)


def _fail(
    session: Session, message: Message, error: str, house: House, office: str, now: datetime
) -> Taken:
    held, waiting = _admit(session, message, house, office, now)
    fail_turn(session, held, waiting, error, house, now)
    return Taken(_sent(session, held, now), None)


def _admit(
    session: Session, message: Message, house: House, office: str, now: datetime
) -> tuple[Lease, Waiting]:
    """Keeps the message and takes its conversation from whoever holds it."""
    inbox.keep(session, message, office, now, house.words_until(now))
    conversation = conversations.of(session, message.sender, office, now)
    held = conversations.take(session, conversation.id)
    waiting = inbox.next_waiting(session, held, now)
    assert waiting is not None, "it was kept a line above"
    return held, waiting


def _sent(session: Session, held: Lease, now: datetime) -> tuple[tuple[Block, ...], ...]:
    """Everything that waits for this person, with notices from before, marked as gone out."""
    waiting = outbox.unsent(session, held.conversation_id)
    outbox.sent(session, [letter.id for letter in waiting], now)
    return tuple(letter.blocks for letter in waiting)


# Rasa's protocol.


class _Told(BaseModel):
    """A part of what Rasa sends; it may hold more than we read."""

    model_config = ConfigDict(extra="ignore")


class _Intent(_Told):
    name: str | None = None
    confidence: float = 0.0


class _Entity(_Told):
    entity: str
    value: Any = None


class _Latest(_Told):
    """The message that Rasa answers, as any of its pipelines gives it."""

    text: str | None = None
    intent: _Intent = _Intent()
    intent_ranking: tuple[_Intent, ...] = ()
    entities: tuple[_Entity, ...] = ()

    @property
    def words(self) -> str:
        """The text, empty where the message has none."""
        return self.text or ""

    @property
    def is_payload(self) -> bool:
        """Whether the text is an intent in Rasa's own writing, such as `/ask_office{…}`, and
        nobody's words."""
        name = self.intent.name
        return name is not None and self.words.startswith((f"/{name}", f"EXTERNAL: {name}"))


class _TrackerState(_Told):
    sender_id: str = Field(min_length=1, max_length=_LONGEST_SENDER)
    latest_message: dict[str, Any] | None = None
    active_loop: dict[str, Any] | None = None


class _Call(_Told):
    """A call of a custom action, as far as it is needed: neither domain nor history is kept."""

    next_action: str = Field(min_length=1)
    tracker: _TrackerState

    @classmethod
    def read(cls, body: bytes) -> "_Call | None":
        """The call without domain and history; None where it is none."""
        try:
            told = json.loads(body)
            told["tracker"]["events"], told["domain"] = [], {}
            whole = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
            call = cls.model_validate_json(whole)
            _Latest.model_validate(call.tracker.latest_message or {})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return call if call.tracker.sender_id.isprintable() else None

    def for_executor(self) -> dict[str, Any]:
        """What rasa-sdk's executor reads; a domain it would remember, so it gets an empty one."""
        return {
            "next_action": self.next_action,
            "tracker": self.tracker.model_dump(),
            "domain": {},
        }


def _executor(actions: Iterable[str], run: Run) -> "ActionExecutor":
    """rasa-sdk's executor with our actions; raises BadSettings where it is not installed."""
    try:
        from rasa_sdk.executor import ActionExecutor  # noqa: PLC0415 - an extra
        from rasa_sdk.interfaces import Action  # noqa: PLC0415
    except ImportError as error:
        raise BadSettings(
            "MOTCUA_RASA is on, but rasa-sdk is not installed: run `uv sync --extra rasa`, or "
            "switch it off"
        ) from error

    class Offered(Action):
        """One of our actions, as rasa-sdk wants it."""

        def __init__(self, name: str) -> None:
            self._name = name

        def name(self) -> str:
            return self._name

        async def run(
            self,
            dispatcher: "CollectingDispatcher",
            tracker: "Tracker",
            domain: "DomainDict",  # noqa: ARG002 - rasa-sdk's signature
        ) -> list[Event]:
            return await run(self._name, dispatcher, tracker)

    executor = ActionExecutor()
    for name in actions:
        executor.register_action(Offered(name))
    return executor


def _events(action: str, said: Tracked, *, is_open: bool | None) -> list[Event]:
    """Keeps Rasa's loop as our form is, and Rasa from running the form on the same message.

    Rasa runs an active loop at once after any other action, and knows nothing to do after the loop
    has ended: then it is told to listen.
    """
    opens = said.in_form if is_open is None else is_open
    if not opens and not said.in_form:
        return []
    events: list[Event] = [{"event": "active_loop", "name": FORM if opens else None}]
    if action != FORM or not opens:
        events.append({"event": "followup", "name": "action_listen"})
    return events


def _buttons(blocks: Iterable[Block]) -> list[dict[str, str]]:
    return [
        {"title": choice.label, "payload": f"/{PRESS}{json.dumps({TOKEN: choice.token})}"}
        for block in blocks
        if isinstance(block, ChoicesBlock)
        for choice in block.choices
    ]


def _parse(latest: object) -> Parse | None:
    """What our own components left in a message, where the assistant has them in its pipeline."""
    try:
        return Parse.model_validate(latest)
    except ValidationError:
        return None


def _is_beside_us(request: web.Request) -> bool:
    """Whether a process on this machine calls by itself, not a browser or a proxy for another."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if any(header in request.headers for header in _NOT_RASA):
        return False
    try:
        address = ipaddress.ip_address(peer[0]) if isinstance(peer, tuple) else None
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address is not None and (mapped or address).is_loopback


def _refusal(status: int, error: str, **more: str) -> web.Response:
    return web.json_response({"error": error, **more}, status=status)


def _log_failure(action: str, error: Exception) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    trace = " ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
    log.error("rasa action failed: %s %s at %s", action, type(error).__name__, trace)
