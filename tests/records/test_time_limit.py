"""A block ends after its processor time or memory, in the main thread and in others."""

import sys
import threading

import pytest

from ppo_cli.records.process_limits import memory_limit
from ppo_cli.records.time_limit import time_limit


def count_for_ever():
    number = 0
    while True:
        number += 1


def ended_by_the_limit():
    with pytest.raises(TimeoutError, match="it counts for ever"), time_limit(0.05, "it counts for ever"):
        count_for_ever()
    with time_limit(30, "never"):  # the limit that passed leaves nothing behind
        return sum(range(1000))


def test_the_main_thread_is_ended_and_goes_on():
    assert ended_by_the_limit() == 499500


def test_another_thread_is_ended_and_goes_on():
    results = []
    thread = threading.Thread(target=lambda: results.append(ended_by_the_limit()))
    thread.start()
    thread.join()
    assert results == [499500]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory so")
def test_more_memory_than_allowed_is_refused_and_allowed_again_afterwards():
    with pytest.raises(MemoryError), memory_limit(2**28):
        bytearray(2**29)
    assert len(bytearray(2**29)) == 2**29
