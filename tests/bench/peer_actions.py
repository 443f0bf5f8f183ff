"""The trivial custom actions of the peer: every name of its domain says one fixed sentence.

rasa-sdk's own action server loads this file (`python -m rasa_sdk --actions …`).
"""

import os
from typing import Any

from rasa_sdk.interfaces import Action


def _trivial(action: str) -> type[Action]:
    def run(self: Any, dispatcher: Any, tracker: Any, domain: Any) -> list[dict[str, Any]]:
        dispatcher.utter_message(text="Dạ, Bộ phận Một cửa đã nghe Anh/Chị.")
        return []

    return type(action, (Action,), {"name": lambda self: action, "run": run})


kept = [_trivial(action) for action in os.environ["BENCH_ACTIONS"].split()]
"""rasa-sdk finds classes by being there; they must not be collected."""
