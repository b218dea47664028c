"""Numbers as words: units, signs, intervals, arrows. The one home of how a value looks.

Not here: tables, colours.
"""

from __future__ import annotations

import math

from rich.cells import cell_len

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, FailConditionResult, HumanLabelNote, MeasureChange
from ppo_cli.records.measures import Calibration, Estimate, Measure

MISSING = "–"
REWARDED_MARK = "†"
"""Marks a behaviour that the reward itself scores."""
HUMAN_MARK = "‡"
"""Marks a behaviour that people labelled, in place of the rule."""
ALSO_REWARDED = "graded by its own teacher"
TERMS = "reward.terms."
"""Begins, among what is graded, the path of a term of which it is not known what it looks at."""


def value(measure: Measure, number: float | None) -> str:
    """A measure's value: `18.0 %`, `−0.32`, `84.0`."""
    if number is None:
        return MISSING
    scale, digits = _scale(measure)
    return plain(scale * number, digits) + (" %" if measure.unit == "%" else "")


def difference(measure: Measure, number: float | None) -> str:
    """A signed difference: `−12.0 pp`, `+0.52`, `×1.56`."""
    if number is None:
        return MISSING
    if measure.statistic == "geometric_mean":
        return f"×{number:.2f}"
    scale, digits = _scale(measure)
    return signed(scale * number, digits) + (" pp" if measure.unit == "%" else "")


def interval(measure: Measure, low: float | None, high: float | None) -> str:
    """An interval of a difference: `[−19.1, −5.6]`."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    if measure.statistic == "geometric_mean":
        return f"[×{low:.2f}, ×{high:.2f}]"
    scale, digits = _scale(measure)
    return f"[{signed(scale * low, digits)}, {signed(scale * high, digits)}]"


def estimate(measure: Measure, found: Estimate) -> str:
    """A value with its interval: `18.0 % [13.9, 22.9]`."""
    if found.low_95 is None or found.high_95 is None:
        return value(measure, found.value)
    scale, digits = _scale(measure)
    return (
        f"{value(measure, found.value)} [{plain(scale * found.low_95, digits)}, {plain(scale * found.high_95, digits)}]"
    )


def _scale(measure: Measure) -> tuple[int, int]:
    """What to multiply a number of this measure by, and its decimals."""
    if measure.unit in ("%", "tokens", "words", "sentences"):
        return (100 if measure.unit == "%" else 1), 1
    return 1, 3 if measure.name == "kl.per_token" else 2


def plain(number: float, digits: int) -> str:
    """A sign only where it is negative: a true minus, and none before zero."""
    return signed(number, digits).removeprefix("+")


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
    return f"p = {number:.2g}" if number >= 0.0001 else "p < 0.0001"


def arrow(measure: Measure, change: MeasureChange) -> str:
    """Which way it went and whether that is better: ▲ ▼ for direction, ✓ ✗ where one is better."""
    if change.verdict != "CHANGED" or change.difference is None:
        return " "
    rose = change.difference > (1 if measure.statistic == "geometric_mean" else 0)
    sign = "▲" if rose else "▼"
    if measure.better is None:
        return sign
    return f"{sign}{'✓' if rose == (measure.better == 'higher') else '✗'}"


def is_worse(measure: Measure, change: MeasureChange) -> bool:
    """Whether a change is certain and in the worse direction."""
    return arrow(measure, change).endswith("✗")


def is_better(measure: Measure, change: MeasureChange) -> bool:
    """Whether a change is certain and in the better direction."""
    return arrow(measure, change).endswith("✓")


def detectable_change(measure: Measure, change: MeasureChange) -> str:
    """The smallest difference that would have been noticed; nothing where it is not known."""
    return "" if change.minimum_detectable is None else difference(measure, change.minimum_detectable).removeprefix("+")


def marks(comparison: Comparison, name: str) -> str:
    """What a title carries that has to be known of a measure: its own teacher, people's labels."""
    by_hand = comparison.human_labels is not None and name in comparison.human_labels.measures
    return f"{REWARDED_MARK if name in comparison.rewarded_measures else ''}{HUMAN_MARK if by_hand else ''}"


def human_label_note(found: HumanLabelNote) -> str:
    """Who made the marked values, in one sentence."""
    return (
        f"{HUMAN_MARK} by hand, in place of the rule: {found.answers} answers to {found.prompts} prompts, labelled blind; "
        f"the rule reads {found.agree} of them ({100 * found.agree / found.answers:.1f} %) the same way. "
        "Flips, categories and single seeds are the rule's."
    )


def calibration(found: Calibration) -> str:
    """How far a rule can be trusted, in one sentence."""
    return (
        f"{found.rule} reads {100 * found.agreement:.1f} % of {found.answers} answers as people do "
        f"({100 * found.heldout_agreement:.1f} % of those not read while it was made); "
        f"{rule_error(found)} on {found.models} models."
    )


def rule_error(found: Calibration) -> str:
    """The same in a few words: `its rates are off by at most 2.4 pp`."""
    return f"its rates are off by at most {found.rate_error:.1f} pp"


def condition_sentence(found: FailConditionResult) -> str:
    """A --fail-if and what was measured: `refusal.safe > 0.2 is met: 41.6 % [35.1, 48.3]`."""
    measure = measure_named(found.measure)
    if found.of == "change":
        seen = f"{difference(measure, found.value)} {interval(measure, found.low_95, found.high_95)}"
    else:
        seen = estimate(
            measure, Estimate(name=measure.name, value=found.value, low_95=found.low_95, high_95=found.high_95, prompts=0)
        )
    return f"{found.condition} is {'met' if found.failed else 'not met'}: {seen}"


def loss_line(policy: float, critic: float) -> str:
    """The line that stands last everywhere."""
    return f"loss: policy {plain(policy, 3)}, critic {plain(critic, 3)}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters, escapes and line ends are blanks."""
    return "".join(char if char.isprintable() else " " for char in text)


def one_line(text: str, width: int | None = None) -> str:
    """Text of a model or a user on one line, cut to a width in columns."""
    flat = " ".join(printable(text).split())
    if width is None or cell_len(flat) <= width:
        return flat
    flat = flat[:width]
    while cell_len(flat) > width - 1:
        flat = flat[:-1]
    return flat.rstrip() + "…"


def verdict_sentence(measure: Measure, change: MeasureChange) -> str:
    """What the comparison says of one measure, in a plain sentence."""
    title = measure.title.strip()
    if change.difference is None:
        return f"Nothing can be said of {title}: there is no data for it in common."
    numbers = (
        f"{value(measure, change.before)} → {value(measure, change.after)}, "
        f"{difference(measure, change.difference)}, 95 % interval {interval(measure, change.low_95, change.high_95)}"
    )
    match change.verdict:
        case "CHANGED":
            rose = change.difference > (1 if measure.statistic == "geometric_mean" else 0)
            return f"The {title} {'rose' if rose else 'fell'}: {numbers}."
        case "EQUIVALENT":
            inner = interval(measure, change.low_90, change.high_90)
            within = f"its 90 % interval {inner} within the smallest change that matters"
            return f"The {title} stayed the same, {within}: {numbers}."
        case "NO CHANGE DETECTED":
            sentence = f"No change of the {title} can be told from chance: {numbers}."
            smallest = detectable_change(measure, change)
            return f"{sentence} Detectable here: {smallest}." if smallest else sentence
        case "info":
            return f"The {title}, which is not judged: {numbers}."
        case _:
            return f"Too little data for the {title}: {numbers}."
