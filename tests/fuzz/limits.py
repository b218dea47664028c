"""How long the fuzz tests run: some seconds each, or as long as `PPO_FUZZ_SECONDS` says (`make fuzz`)."""

import contextlib
import os
import time

from hypothesis import HealthCheck, Phase, settings

SECONDS = float(os.environ.get("PPO_FUZZ_SECONDS", "6"))
LONG = "PPO_FUZZ_SECONDS" in os.environ
FUZZ = settings(
    max_examples=10**6 if LONG else 400,
    deadline=None,
    derandomize=not LONG,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class TimeIsOverError(BaseException):
    """Ends a test as passed; hypothesis takes every Exception for a failure."""


def for_a_while(test):
    """Runs a test of hypothesis until its examples or its seconds are over.

    Args:
        test: takes a function that must be called at the start of each example.
    """
    end = time.monotonic() + SECONDS

    def check_time():
        if time.monotonic() > end:
            raise TimeIsOverError

    with contextlib.suppress(TimeIsOverError):
        test(check_time)
