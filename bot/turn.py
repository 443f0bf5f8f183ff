"""One turn: a message is answered and everything about it is kept, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions.action import (
    Asked,
    CaseTaken,
    Choice,
    Command,
    ErasureAsked,
    HandOverAsked,
    Outcome,
    Press,
    Result,
    SilenceEnded,
    Understanding,
    WordsWithdrawn,
    says,
)
from actions.deadlines import local_day
from actions.find import Finder
from actions.knowledge import Knowledge
from actions.knowledge.model import Office
from bot.dialogue import Dialogue
from bot.message import Block, Message
from bot.replies import Replies
from bot.shortcuts import Shortcut
from bot.store import (
    Session,
    audit,
    cases,
    choices,
    conversations,
    files,
    inbox,
    outbox,
    retention,
    turns,
)
from bot.store.choices import ChoiceGone
from bot.store.conversations import Lease
from bot.store.inbox import Waiting
from bot.store.tables import ConversationRow

_LONGEST_LABEL = 200


@dataclass(frozen=True)
class House:
    """What every turn needs and none of them changes."""

    knowledge: Knowledge
    dialogue: Dialogue
    replies: Replies
    finder: Finder
    shorthand: Mapping[str, str]
    shortcuts: tuple[Shortcut, ...]
    words_days: int

    def office(self, office_id: str) -> Office:
        """The office of that id."""
        return self.knowledge.files.offices[office_id]

    def shortcut(self, text: str) -> Shortcut | None:
        """The shortcut that a text is, such as `/phananh` or `#phananh`."""
        return next((shortcut for shortcut in self.shortcuts if shortcut.is_typed(text)), None)

    def facts(self, office_id: str, now: datetime) -> dict[str, Any]:
        """What every reply may use."""
        return {"office": self.office(office_id), "day": local_day(now), "now": now}

    def words_until(self, now: datetime) -> datetime:
        """Until when the words of a conversation are kept."""
        return now + timedelta(days=self.words_days)


@dataclass(frozen=True)
class Turn:
    """What was understood, decided and said."""

    understanding: Understanding
    outcome: Outcome
    said: tuple[tuple[Block, ...], ...]


def take_turn(
    session: Session,
    held: Lease,
    waiting: Waiting,
    understanding: Understanding,
    house: House,
    now: datetime,
) -> Turn:
    """Answers one message; raises LeaseLost, and then keeps nothing."""
    conversation = conversations.hold(session, held)
    memory = conversations.memory(session, conversation)
    office = house.office(conversation.office)
    silent = conversation.silent_until is not None and now < conversation.silent_until
    try:
        press, label = _press(session, conversation, waiting, house, now, silent=silent)
    except ChoiceGone:
        press, label = None, ""
        outcome = Outcome(Result.ANSWERED, (says("choice_gone"),), memory)
    else:
        asked = Asked(
            waiting.message.text,
            understanding,
            memory,
            office,
            now,
            local_day(now),
            press,
            waiting.message.attachments,
            silent=silent,
        )
        here = cases.CasesHere(session, conversation.id)
        outcome = house.dialogue.act(asked, here)
    said = label or waiting.message.text
    return _keep(session, conversation, waiting, understanding, outcome, said, house, now)


def fail_turn(
    session: Session, held: Lease, waiting: Waiting, error: str, house: House, now: datetime
) -> None:
    """After the last try: the citizen is told once, and the row stays for an operator."""
    conversation = conversations.hold(session, held)
    facts = house.facts(conversation.office, now)
    blocks = house.replies.word(says("went_wrong"), facts, no_choices)
    outbox.put(session, conversation.id, blocks, now, house.words_until(now))
    inbox.give_up(session, waiting, error)


def needs_no_understanding(message: Message, house: House) -> bool:
    """Whether what a message means hangs on no words: nlu need not be asked."""
    wordless = bool(message.attachments) and not message.text.strip()
    pressed = message.pressed is not None or choices.token_in(message.text) is not None
    return pressed or message.opened or wordless or house.shortcut(message.text) is not None


def _press(
    session: Session,
    conversation: ConversationRow,
    waiting: Waiting,
    house: House,
    now: datetime,
    *,
    silent: bool,
) -> tuple[Press | None, str]:
    """What is meant without asking nlu: a button, a shortcut, or a button's number or label, which
    in silence are words to the officer."""
    message = waiting.message
    token = message.pressed or choices.token_in(message.text)
    if token is not None:
        return choices.press(session, conversation.id, token, now)
    if message.opened:
        return Press(Command.ASK, "greet"), ""
    shortcut = house.shortcut(message.text)
    if shortcut is not None:
        return shortcut.press, shortcut.label
    if silent:
        return None, ""
    pressed = choices.press_typed(session, conversation.id, message.text[:_LONGEST_LABEL], now)
    return pressed or (None, "")


def _keep(
    session: Session,
    conversation: ConversationRow,
    waiting: Waiting,
    understanding: Understanding,
    outcome: Outcome,
    said: str,
    house: House,
    now: datetime,
) -> Turn:
    until = house.words_until(now)
    office = house.office(conversation.office)
    for event in outcome.events:
        _happen(session, conversation, office, event, now)
    turn_id = turns.keep(
        session,
        conversation.id,
        waiting.inbox_id,
        said if outcome.keeps_words and not _wipes(outcome) else None,
        understanding.intent,
        outcome.result,
        now,
        until,
    )

    facts, offered = (
        house.facts(conversation.office, now),
        choices.offers(conversation.id, turn_id, now),
    )
    worded = tuple(house.replies.word(reply, facts, offered.offer) for reply in outcome.says)
    choices.keep(session, offered)
    for blocks in worded:
        outbox.put(session, conversation.id, blocks, now, until, turn_id=turn_id)
    conversations.remember(session, conversation, outcome.remember, until)
    inbox.done(session, waiting)
    return Turn(understanding, outcome, worded)


def _happen(
    session: Session, conversation: ConversationRow, office: Office, event: Any, now: datetime
) -> None:
    match event:
        case CaseTaken():
            keep_until = now + timedelta(days=office.keeps_cases_days)
            case_id = cases.keep(session, event, conversation.id, office.id, now, keep_until)
            files.want(session, event.files, conversation.id, case_id, now, keep_until)
            audit.note(session, "citizen", "case_taken", str(event.code), now, "consent given")
        case HandOverAsked():
            audit.note(
                session, "citizen", "hand_over_asked", f"conversation {conversation.id}", now
            )
        case SilenceEnded():
            conversation.silent_until = None
        case WordsWithdrawn():
            retention.withdraw(session, conversation.id, event.since)
        case ErasureAsked():
            retention.erase(session, conversation.id)
            audit.note(session, "citizen", "erased", f"conversation {conversation.id}", now)


def _wipes(outcome: Outcome) -> bool:
    wiping = (ErasureAsked, WordsWithdrawn)
    return any(isinstance(event, wiping) for event in outcome.events)


def no_choices(_number: int, _label: str, _choice: Choice) -> str:
    """For replies that have no choices."""
    raise AssertionError("this reply offers no choices")
