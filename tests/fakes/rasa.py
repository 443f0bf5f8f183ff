"""Rasa's side of the action protocol, written from the source of Rasa 3.6.21.

It keeps a tracker for each person and asks for actions as `RemoteAction`, `RulePolicy` and the
message processor do: an active loop comes before every rule, a follow-up action before both.
"""

import json
import re
import uuid
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession

LISTEN = "action_listen"
MODEL = {"model_id": "0123456789abcdef0123456789abcdef", "assistant_id": "motcua"}
_MOST_ACTIONS = 10


class CircuitBroken(AssertionError):  # noqa: N818 - Rasa's word
    """Rasa would have run action after action on one message."""


@dataclass
class Tracker:
    """What Rasa remembers of one person."""

    sender_id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    latest_message: dict[str, Any] | None = None
    active_loop: dict[str, Any] = field(default_factory=dict)
    followup: str | None = None
    latest_action: str | None = None
    time: float = 1795517926.0

    def add(self, event: Mapping[str, Any]) -> None:
        """Keeps an event and lets it take effect."""
        self.time += 0.25
        self.events.append({**event, "timestamp": self.time, "metadata": MODEL})
        match event["event"]:
            case "user":
                self.latest_message, self.followup = event["parse_data"], None
            case "action":
                self.latest_action, self.followup = event["name"], None
            case "followup":
                self.followup = event["name"]
            case "active_loop" if event["name"] is None:
                self.active_loop = {}
            case "active_loop" if event["name"] != self.active_loop.get("name"):
                self.active_loop = {
                    "name": event["name"],
                    "is_interrupted": False,
                    "rejected": False,
                    "trigger_message": deepcopy(self.latest_message),
                }

    def state(self) -> dict[str, Any]:
        """The whole history, as it travels with every call."""
        return {
            "sender_id": self.sender_id,
            "slots": {"requested_slot": None, "session_started_metadata": None},
            "latest_message": self.latest_message,
            "latest_event_time": self.time,
            "followup_action": self.followup,
            "paused": False,
            "events": self.events,
            "latest_input_channel": "rest",
            "active_loop": self.active_loop,
            "latest_action": {"action_name": self.latest_action},
            "latest_action_name": self.latest_action,
        }


class FakeRasa:
    """An assistant whose rules map intents to actions, as `motcua rasa domain` writes them."""

    def __init__(self, url: str, session: ClientSession, rules: Mapping[str, str]) -> None:
        self.url = f"{url}/rasa/webhook"
        self._session = session
        self._rules = dict(rules)
        self.trackers: dict[str, Tracker] = {}
        self.ran: list[str] = []

    def tracker(self, person: str) -> Tracker:
        """What Rasa remembers of a person."""
        if person not in self.trackers:
            tracker = self.trackers[person] = Tracker(person)
            tracker.add({"event": "action", "name": "action_session_start", "policy": None})
            tracker.add({"event": "session_started"})
            tracker.add({"event": "action", "name": LISTEN, "policy": None})
        return self.trackers[person]

    async def says(
        self,
        person: str,
        text: str,
        intent: str = "nlu_fallback",
        confidence: float = 0.9,
        **parsed: Any,
    ) -> list[dict[str, Any]]:
        """One message through the whole of Rasa; gives what the person is shown."""
        tracker = self.tracker(person)
        parse = {**_parse_data(text, intent, confidence), **parsed}
        tracker.add(
            {
                "event": "user",
                "text": text,
                "parse_data": parse,
                "input_channel": "rest",
                "message_id": parse["message_id"],
            }
        )
        tracker.add({"event": "user_featurization", "use_text_for_featurization": False})
        shown: list[dict[str, Any]] = []
        for _ in range(_MOST_ACTIONS):
            action = self._predict(tracker)
            if action == LISTEN:
                tracker.add({"event": "action", "name": LISTEN, "policy": "policy_0_RulePolicy"})
                return shown
            shown += await self._run(tracker, action)
        raise CircuitBroken(self.ran[-_MOST_ACTIONS:])

    async def presses(self, person: str, button: Mapping[str, str]) -> list[dict[str, Any]]:
        """A button comes back as a typed message with its payload."""
        return await self.says(person, button["payload"])

    def _predict(self, tracker: Tracker) -> str:
        if tracker.followup:
            followup, tracker.followup = tracker.followup, None
            return followup
        loop = tracker.active_loop.get("name")
        if loop and not tracker.active_loop["rejected"]:
            return LISTEN if tracker.latest_action == loop else str(loop)
        if tracker.latest_action != LISTEN:
            ended = tracker.latest_action not in self._rules.values()
            return "action_default_fallback" if ended else LISTEN
        assert tracker.latest_message is not None
        return self._rules[tracker.latest_message["intent"]["name"]]

    async def _run(self, tracker: Tracker, action: str) -> list[dict[str, Any]]:
        """Runs a custom action; when that fails, Rasa goes on with nothing."""
        assert action != "action_default_fallback", "no rule says what comes after the form"
        self.ran.append(action)
        status, answer = await self.calls(self.call(tracker.sender_id, action))
        tracker.add({"event": "action", "name": action, "policy": "policy_0_RulePolicy"})
        if status != 200:
            return []
        shown = answer["responses"]
        for response in shown:
            tracker.add({"event": "bot", "text": response["text"], "data": dict(response)})
        for event in answer["events"]:
            tracker.add(event)
        return [dict(response) for response in shown]

    def call(self, person: str, action: str) -> dict[str, Any]:
        """The body with which Rasa asks for an action."""
        return {
            "next_action": action,
            "sender_id": person,
            "tracker": self.tracker(person).state(),
            "version": "3.6.21",
            "domain": {"version": "3.1", "intents": list(self._rules), "session_config": {}},
        }

    async def calls(self, body: Any, **more: Any) -> tuple[int, Any]:
        """Posts a body as Rasa does; gives status and JSON."""
        async with self._session.post(self.url, json=body, **more) as answer:
            return answer.status, await answer.json()


_PAYLOAD = re.compile(r"/(?P<intent>[^{@]+)(?P<entities>\{.*\})?")


def _parse_data(text: str, intent: str, confidence: float) -> dict[str, Any]:
    """What a stock pipeline leaves in a message; it obeys `/intent{…}`, whoever typed it."""
    parse: dict[str, Any] = {
        "intent": {"name": intent, "confidence": confidence},
        "entities": [],
        "text": text,
        "message_id": uuid.uuid4().hex,
        "metadata": {},
        "intent_ranking": [{"name": intent, "confidence": confidence}],
    }
    typed = _PAYLOAD.fullmatch(text)
    if typed is None:
        return {**parse, "text_tokens": [[0, len(text)]]}
    surely = {"name": typed["intent"], "confidence": 1.0}
    at = {"start": typed.start("entities"), "end": typed.end("entities")}
    entities = [
        {"entity": name, "value": value, **at, "extractor": "RegexMessageHandler"}
        for name, value in json.loads(typed["entities"] or "{}").items()
    ]
    return {**parse, "intent": surely, "intent_ranking": [surely], "entities": entities}
