"""Numbers as words: units, signs, intervals, arrows. The one home of how a value looks.

Not here: tables, colours.
"""

from __future__ import annotations

from ppo_cli.records import Change, Estimate, Measure

MISSING = "–"


def value(measure: Measure, number: float | None) -> str:
    """A measure's value: `18.0 %`, `2.32`, `84`."""
    if number is None:
        return MISSING
    if measure.unit == "%":
        return f"{100 * number:.1f} %"
    if measure.unit == "tokens":
        return f"{number:.1f}"
    return f"{number:.3f}" if measure.name == "kl.per_token" else f"{number:.2f}"


def difference(measure: Measure, number: float | None) -> str:
    """A signed difference: `−12.0 pp`, `+0.52`, `×1.56`."""
    if number is None:
        return MISSING
    if measure.statistic == "geometric_mean":
        return f"×{number:.2f}"
    if measure.unit == "%":
        return f"{signed(100 * number, 1)} pp"
    return signed(number, 3 if measure.name == "kl.per_token" else 2)


def interval(measure: Measure, low: float | None, high: float | None) -> str:
    """An interval of a difference: `[−19.1, −5.6]`."""
    if low is None or high is None:
        return MISSING
    if measure.statistic == "geometric_mean":
        return f"[×{low:.2f}, ×{high:.2f}]"
    scale, digits = (100, 1) if measure.unit == "%" else (1, 3 if measure.name == "kl.per_token" else 2)
    return f"[{signed(scale * low, digits)}, {signed(scale * high, digits)}]"


def estimate(measure: Measure, found: Estimate) -> str:
    """A value with its interval: `18.0 % [13.9, 22.9]`."""
    if found.value is None or found.low is None or found.high is None:
        return MISSING
    scale, digits = (100, 1) if measure.unit == "%" else (1, 3 if measure.name == "kl.per_token" else 2)
    return f"{value(measure, found.value)} [{scale * found.low:.{digits}f}, {scale * found.high:.{digits}f}]"


def signed(number: float, digits: int) -> str:
    """With a sign always, a true minus, and no minus before zero."""
    text = f"{abs(number):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{'−' if number < 0 else '+'}{text}"


def p_value(number: float | None) -> str:
    """`p = 0.012`, or an inequality where it is tiny."""
    if number is None:
        return ""
    return f"p = {number:.2g}" if number >= 0.0001 else f"p = {number:.1e}"


def arrow(measure: Measure, change: Change) -> str:
    """Which way it went and whether that is better: ▲ ▼ for direction, ✓ ✗ where one is better."""
    if change.verdict != "CHANGED" or change.difference is None:
        return " "
    rose = change.difference > (1 if measure.statistic == "geometric_mean" else 0)
    sign = "▲" if rose else "▼"
    if measure.better is None:
        return sign
    return f"{sign}{'✓' if rose == (measure.better == 'higher') else '✗'}"


def is_worse(measure: Measure, change: Change) -> bool:
    """Whether a change is certain and in the worse direction."""
    return arrow(measure, change).endswith("✗")


def is_better(measure: Measure, change: Change) -> bool:
    """Whether a change is certain and in the better direction."""
    return arrow(measure, change).endswith("✓")


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def one_line(text: str, width: int) -> str:
    """Text on one line, cut to a width, control characters shown as blanks."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"


def verdict_sentence(measure: Measure, change: Change) -> str:
    """What the comparison says of one measure, in a plain sentence."""
    title = measure.title.strip()
    if change.difference is None:
        return f"Nothing can be said of {title}: there is no data for it in common."
    numbers = (
        f"{value(measure, change.before)} → {value(measure, change.after)}, "
        f"{difference(measure, change.difference)}, 95 % interval {interval(measure, change.low, change.high)}"
    )
    detectable = difference(measure, change.detectable).lstrip("+") if change.detectable is not None else ""
    match change.verdict:
        case "CHANGED":
            rose = change.difference > (1 if measure.statistic == "geometric_mean" else 0)
            return f"The {title} {'rose' if rose else 'fell'}: {numbers}."
        case "EQUIVALENT":
            return f"The {title} stayed the same, within the smallest change that matters: {numbers}."
        case "NO CHANGE DETECTED":
            return f"No change of the {title} can be told from chance: {numbers}. Detectable here: {detectable}."
        case _:
            return f"Too little data for the {title}: {numbers}."
