"""Searches an answer for a pattern of the config, for a limited time.

A pattern can take years for one answer. In the main thread a signal ends the search. In another thread nothing can,
since `re` does not let other threads run meanwhile, so there the search is done by another process.

Not here: the term (`parametric_terms`), time limits of other code (`records.time_limit`).
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading

from ppo_cli.records.time_limit import time_limit

MAX_PATTERN_SECONDS = 2.0
"""Processor time for one answer."""
_FOUND, _NOT_FOUND = 10, 11
_PROGRAM = f"""
import json, re, signal, sys
pattern, text, seconds = json.load(sys.stdin)
signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
sys.exit({_FOUND} if re.search(pattern, text) else {_NOT_FOUND})
"""


def is_found(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a pattern occurs in a text.

    Raises:
        TimeoutError: the search takes too long.
    """
    message = f"the pattern takes more than {MAX_PATTERN_SECONDS:g} s for one answer; it backtracks for too long"
    if threading.current_thread() is threading.main_thread() or not hasattr(signal, "SIGVTALRM") or not sys.executable:
        with time_limit(MAX_PATTERN_SECONDS, message):
            return pattern.search(text) is not None
    ended = subprocess.run(  # noqa: S603 - this Python, with a program of this file
        [sys.executable, "-I", "-S", "-c", _PROGRAM],
        input=json.dumps([pattern.pattern, text, MAX_PATTERN_SECONDS]).encode(),
        capture_output=True,
        check=False,
    )
    if ended.returncode == -signal.SIGVTALRM:
        raise TimeoutError(message)
    if ended.returncode not in (_FOUND, _NOT_FOUND):
        raise RuntimeError(f"the search for the pattern ended with code {ended.returncode}")
    return ended.returncode == _FOUND
