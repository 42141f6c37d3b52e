"""Makes a process believe that it is another time, from its first instruction on."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

_SKEW = timedelta(seconds=float(os.environ["SKEW_SECONDS"]))
time_machine.travel(datetime.now(UTC) + _SKEW, tick=True).start()
