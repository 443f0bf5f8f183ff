"""Fixed replies, as `data/intents.yml` names them."""

from actions.action import Asked, Outcome, Result, answered, says


class Say:
    """One reply without facts of its own."""

    def __init__(self, reply: str, result: Result) -> None:
        self._reply = reply
        self._result = result

    def __call__(self, asked: Asked) -> Outcome:
        """The reply; nothing is remembered or forgotten."""
        return answered(asked, says(self._reply), result=self._result)
