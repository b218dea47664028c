"""Numbers as text, for sentences outside tables.

Not here: values with the unit of a measure (`reports.formatting`).
"""

from __future__ import annotations


def format_number(value: float, digits: int = 2) -> str:
    """A number with `digits` decimals, a true minus sign, and no minus before a rounded zero."""
    text = f"{abs(value):.{digits}f}"
    return f"−{text}" if value < 0 and float(text) else text
