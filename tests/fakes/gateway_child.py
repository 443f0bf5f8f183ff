"""`motcua serve` as a process of its own, with short holds: a killed one is soon replaced."""

import sys
from datetime import timedelta

from bot import courier, worker
from bot.__main__ import main

HOLD = timedelta(seconds=2)

if __name__ == "__main__":
    worker._LEASE = HOLD
    courier._HOLD = HOLD
    courier._SEND_SECONDS = 1.5
    sys.argv = ["motcua", "serve"]
    sys.exit(main())
