"""What Zalo's error codes mean for a message that was to be sent: section 3.8 of the reference."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum

from actions.deadlines import VIETNAM
from bot.channel import OutOfReach, Refused, TryLater

RATE_LIMIT = -32
UPLOAD_EXPIRED = -100
TOKEN_REFUSED = frozenset({-216, -220})
FORM_REFUSED = frozenset({-201, -210, -233})
"""The person can be written to, but not in this form."""

ACCOUNT_REST = timedelta(minutes=10)
"""How long an account rests when an operator has to do something."""

_MORNING = time(6)


class ZaloRefused(Exception):  # noqa: N818 - a fact, not a failure
    """Zalo answered with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Zalo answered {code}")
        self.code = code


class Reaction(StrEnum):
    """What is done about an error code."""

    NEXT_MINUTE = "next minute"
    LATER = "later"
    AN_HOUR = "in an hour"
    MORNING = "in the morning"
    OUT_OF_REACH = "out of reach"
    GIVE_UP = "give up"
    OPERATOR = "an operator must act"


REACTIONS: Mapping[int, Reaction] = {
    -32: Reaction.NEXT_MINUTE,  # calls of this minute are used up
    -200: Reaction.LATER,  # sending failed
    -201: Reaction.GIVE_UP,  # a field is invalid
    -204: Reaction.OPERATOR,  # the account is disabled
    -205: Reaction.OPERATOR,  # the account does not exist
    -209: Reaction.OPERATOR,  # the app is not active
    -210: Reaction.GIVE_UP,  # a field is too long
    -211: Reaction.AN_HOUR,  # out of quota
    -212: Reaction.OPERATOR,  # this API is not registered for the app
    -213: Reaction.OUT_OF_REACH,  # does not follow the account
    -216: Reaction.OPERATOR,  # the access token is invalid, even after its renewal
    -217: Reaction.OUT_OF_REACH,  # blocked invitations
    -218: Reaction.AN_HOUR,  # the recipient's quota is used up
    -219: Reaction.OPERATOR,  # the app was removed or disabled
    -220: Reaction.OPERATOR,  # the access token has expired, even after its renewal
    -221: Reaction.OPERATOR,  # the account must be verified
    -223: Reaction.OPERATOR,  # the account has not authorised the app
    -224: Reaction.OPERATOR,  # the account needs a package
    -227: Reaction.OUT_OF_REACH,  # banned, or not active for 45 days
    -230: Reaction.OUT_OF_REACH,  # no interaction in 7 days
    -232: Reaction.OUT_OF_REACH,  # no interaction at all, or it expired
    -233: Reaction.GIVE_UP,  # this type of message is not supported
    -234: Reaction.MORNING,  # not at night
    -235: Reaction.OPERATOR,  # not for this type of account
    -240: Reaction.OPERATOR,  # this version of the API was shut down
    -242: Reaction.OPERATOR,  # the proof of the app secret is wrong
    -244: Reaction.OUT_OF_REACH,  # the person restricted this type of message
    -248: Reaction.OPERATOR,  # against Zalo's policy
    -249: Reaction.OPERATOR,  # the template cannot be sent by user id
    -320: Reaction.OPERATOR,  # needs a Zalo Cloud Account
    -321: Reaction.OPERATOR,  # the Zalo Cloud Account is exhausted
}
"""A code that is not here is given up: nobody knows yet what it asks for."""


def reaction(code: int) -> Reaction:
    """What is done about an error code."""
    return REACTIONS.get(code, Reaction.GIVE_UP)


def fact(code: int, now: datetime) -> Exception:
    """An error code as one of the facts that couriers know."""
    reason = f"Zalo answered {code}"
    match reaction(code):
        case Reaction.NEXT_MINUTE:
            return TryLater(reason, after=to_next_minute(now), all_people=True)
        case Reaction.LATER:
            return TryLater(reason)
        case Reaction.AN_HOUR:
            return TryLater(reason, after=timedelta(hours=1))
        case Reaction.MORNING:
            return TryLater(reason, after=to_morning(now))
        case Reaction.OUT_OF_REACH:
            return OutOfReach(reason)
        case Reaction.OPERATOR:
            return TryLater(reason, after=ACCOUNT_REST, all_people=True)
        case Reaction.GIVE_UP:
            return Refused(reason)


def to_next_minute(now: datetime) -> timedelta:
    """How long it is until the next minute of the clock begins."""
    return timedelta(minutes=1) - timedelta(seconds=now.second, microseconds=now.microsecond)


def to_morning(now: datetime) -> timedelta:
    """How long it is until six o'clock in Việt Nam."""
    local = now.astimezone(VIETNAM)
    morning = datetime.combine(local.date(), _MORNING, VIETNAM)
    return (morning if local < morning else morning + timedelta(days=1)) - local
