"""How often an alarm was raised in runs known to be healthy or sabotaged: the sentence that stands beside it.

The counts are in rates.json, which `benchmarks/alarms.py table` writes. docs/alarms.md has them row by row.

Not here: the alarms (one module each), the sabotages (`benchmarks/`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("rates.json")


def rate_sentence(name: str) -> str:
    """The share of simulated runs that raised an alarm.

    Args:
        name: of the alarm.
    """
    counts = _counts()[name]
    (falsely, healthy), (rightly, sabotaged) = counts["healthy"], counts["sabotaged"]
    return (
        f"raised in {falsely} of {healthy} simulated healthy runs, and in {rightly} of {sabotaged} that were plainly "
        "sabotaged"
    )


@functools.cache
def _counts() -> Mapping[str, Any]:
    counts: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["rates"]
    return counts
