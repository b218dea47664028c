"""How long the fuzz tests run: some seconds each, or as long as `PPO_FUZZ_SECONDS` says (`make fuzz`)."""

import os
import time

from hypothesis import HealthCheck, Phase, settings

SECONDS = float(os.environ.get("PPO_FUZZ_SECONDS", "8"))
LONG = "PPO_FUZZ_SECONDS" in os.environ
FUZZ = settings(
    max_examples=20_000 if LONG else 150,
    deadline=None,
    derandomize=not LONG,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class Clock:
    """The time of one test: after it every example passes at once."""

    def __init__(self):
        self._end = None

    def is_over(self):
        if self._end is None:
            self._end = time.monotonic() + SECONDS
        return time.monotonic() > self._end
