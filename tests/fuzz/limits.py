"""How long the fuzz tests run: 30 s all together, or as long as `PPO_FUZZ_SECONDS` says (`make fuzz`: 10 minutes)."""

import contextlib
import os
import time

from hypothesis import HealthCheck, Phase, settings

SHARES = {"records": 6, "configs": 7, "prompts": 8, "model_folders": 7}
"""Seconds of 30 that each kind of input has; what is left over is for the last example of each."""
TESTS = {"records": 1, "configs": 3, "prompts": 2, "model_folders": 1}
ALL_SECONDS = 30
LONG = "PPO_FUZZ_SECONDS" in os.environ
FUZZ = settings(
    max_examples=10**6,
    deadline=None,
    derandomize=not LONG,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class TimeIsOverError(BaseException):
    """Ends a test as passed; hypothesis takes every Exception for a failure."""


def for_a_while(kind, test):
    """Runs a test of hypothesis until its seconds are over.

    Args:
        kind: of input.
        test: takes a function that must be called at the start of each example.
    """
    seconds = float(os.environ.get("PPO_FUZZ_SECONDS", ALL_SECONDS)) * SHARES[kind] / ALL_SECONDS / TESTS[kind]
    end, examples = time.monotonic() + seconds, 0

    def check_time():
        nonlocal examples
        if time.monotonic() > end:
            raise TimeIsOverError
        examples += 1

    with contextlib.suppress(TimeIsOverError):
        test(check_time)
    assert examples
