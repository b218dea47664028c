"""Numbers as text, for sentences that are not part of a table.

Not here: values with the unit of a measure (`report.formatting`).
"""

from __future__ import annotations


def format_number(value: float, digits: int = 2) -> str:
    """With a true minus, and none before zero."""
    text = f"{abs(value):.{digits}f}"
    return f"−{text}" if value < 0 and float(text) else text
