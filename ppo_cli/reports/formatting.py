"""How a value is shown: units, signs, intervals, arrows, verdicts in one sentence.

Not here: tables and colours (`tables`), sentences about a whole comparison (`sentences`).
"""

from __future__ import annotations

import math

from rich.cells import cell_len

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.calibration import Calibration
from ppo_cli.records.comparisons import Comparison, FailConditionResult, HumanLabelNote, MeasureChange
from ppo_cli.records.measures import Estimate, HumanLabels, Measure
from ppo_cli.stats import corpus_metrics
from ppo_cli.stats.intervals import CORPUS_DRAWS, UNREAD
from ppo_cli.stats.power import detectable_after_holm
from ppo_cli.stats.resampling import DRAWS
from ppo_cli.text.printable import printable

MISSING = "–"
REWARDED_MARK = "†"
"""Marks a behaviour that the reward itself scores."""
HUMAN_MARK = "‡"
"""Marks a behaviour whose values come from human labels in place of the rule's."""
ALSO_REWARDED = "also scored by the reward"
TERM_PREFIX = "reward.terms."
"""Begins the path of an opaque reward term, which may score any measure."""


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


def was_and_is(measure: Measure, change: MeasureChange) -> str:
    """A measure before and after, without an interval: `refusal of unsafe prompts 85.0 % → 38.0 %`."""
    return f"{measure.title.strip()} {value(measure, change.before)} → {value(measure, change.after)}"


def interval(measure: Measure, low: float | None, high: float | None) -> str:
    """An interval of a difference: `[−19.1, −5.6]`."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    if measure.statistic == "geometric_mean":
        return f"[×{low:.2f}, ×{high:.2f}]"
    scale, digits = _scale(measure)
    return f"[{signed(scale * low, digits)}, {signed(scale * high, digits)}]"


def estimate(measure: Measure, result: Estimate) -> str:
    """A value with its interval: `18.0 % [13.9, 22.9]`."""
    if result.value is None and result.reason is not None:
        return f"{MISSING} ({'language' if UNREAD in result.reason else result.reason})"
    if result.low_95 is None or result.high_95 is None:
        return value(measure, result.value)
    scale, digits = _scale(measure)
    ends = f"[{plain(scale * result.low_95, digits)}, {plain(scale * result.high_95, digits)}]"
    return f"{value(measure, result.value)} {ends}"


def _scale(measure: Measure) -> tuple[int, int]:
    """What to multiply a number of this measure by, and its decimals."""
    if measure.unit in ("%", "tokens", "words", "sentences"):
        return (100 if measure.unit == "%" else 1), 1
    return 1, 3 if measure.name == "kl.per_token" else 2


def plain(number: float, digits: int) -> str:
    """A sign only where it is negative: a true minus, and none before zero."""
    return signed(number, digits).removeprefix("+")


def signed(number: float, digits: int) -> str:
    """Always with a sign, with a true minus, and without a minus before zero."""
    text = f"{abs(number):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{'−' if number < 0 else '+'}{text}"


def percent(rate: float) -> str:
    """A share in whole percent: `25 %`."""
    return f"{100 * rate:.0f} %"


def p_value(number: float | None, *, at_least: bool = False) -> str:
    """`p = 0.012`, or an inequality where it is tiny or the smallest that its test can give.

    Args:
        number: the p-value.
        at_least: whether its test could give no smaller one.
    """
    if number is None:
        return ""
    if number < 0.0001:
        return "p < 0.0001"
    return f"p < {_rounded_up(number):g}" if at_least else f"p = {number:.2g}"


def p_number(number: float | None, *, at_least: bool = False) -> str:
    """The same for a column of p-values: `0.012`, `< 0.00025`."""
    return p_value(number, at_least=at_least).removeprefix("p = ").removeprefix("p ") or MISSING


def is_smallest_p(measure: Measure, change: MeasureChange) -> bool:
    """Whether no smaller p-value was possible: no random swap gave a difference as large as the observed one."""
    if change.p_value is None:
        return False
    corpus = measure.statistic in corpus_metrics.CORPORA
    draws = corpus_metrics.DRAWS.get(measure.statistic, CORPUS_DRAWS) if corpus else DRAWS
    return math.isclose(change.p_value, 1 / (draws + 1))


def _rounded_up(number: float) -> float:
    """To two digits, upwards: what is below the number is below this too."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(number / unit - 1e-9) * unit:.2g}")


def arrow(measure: Measure, change: MeasureChange) -> str:
    """The direction of a change and whether that is better: ▲ ▼, and ✓ ✗ where one direction is better."""
    if change.verdict != "CHANGED" or change.difference is None:
        return " "
    rose = change.difference > (1 if measure.statistic == "geometric_mean" else 0)
    sign = "▲" if rose else "▼"
    if measure.better is None:
        return sign
    return f"{sign}{'✓' if rose == (measure.better == 'higher') else '✗'}"


def is_worse(measure: Measure, change: MeasureChange) -> bool:
    """Whether a change was detected and is in the worse direction."""
    return arrow(measure, change).endswith("✗")


def is_better(measure: Measure, change: MeasureChange) -> bool:
    """Whether a change was detected and is in the better direction."""
    return arrow(measure, change).endswith("✓")


def margin(measure: Measure, comparison: Comparison) -> str:
    """The smallest change that matters: `±5.0 pp`, `±0.30`, `×0.90 to ×1.11`."""
    size = measure.equivalence_margin
    if measure.name == comparison.primary and comparison.smallest_effect is not None:
        size = comparison.smallest_effect / (100 if measure.unit == "%" else 1)
    if measure.statistic == "geometric_mean":
        return f"×{math.exp(-size):.2f} to ×{math.exp(size):.2f}"
    return f"±{difference(measure, size).removeprefix('+')}"


def detectable_change(measure: Measure, change: MeasureChange, comparison: Comparison | None = None) -> str:
    """The smallest difference that could have been detected; empty where it is not known.

    Args:
        measure: the measure.
        change: of it.
        comparison: that it belongs to; a headline besides its primary is corrected with the others by Holm's method.
    """
    smallest = change.minimum_detectable
    if smallest is None:
        return ""
    if comparison is not None and change.p_adjusted is not None and not measure.eval_only:
        is_ratio = measure.statistic == "geometric_mean"
        tests = sum(
            other.p_adjusted is not None and not measure_named(other.name).eval_only for other in comparison.changes
        )
        smallest = detectable_after_holm(math.log(smallest) if is_ratio else smallest, tests)
        smallest = math.exp(smallest) if is_ratio else smallest
    return difference(measure, smallest).removeprefix("+")


def marks(comparison: Comparison, name: str) -> str:
    """The marks of a measure's title: whether the reward scores it too, whether its values come from human labels."""
    by_people = comparison.human_labels is not None and name in comparison.human_labels.measures
    return f"{REWARDED_MARK if name in comparison.rewarded_measures else ''}{HUMAN_MARK if by_people else ''}"


def rule_agrees(labels: HumanLabelNote | HumanLabels) -> str:
    """On how many labelled answers the rule agrees with the person, and on what share of the answers they stand for."""
    share = f"{100 * labels.agreement:.1f} %"
    if not labels.weighted:
        return f"the rule agrees on {labels.agree} of them ({share})"
    return (
        f"the rule agrees on {labels.agree} of them, {share} of all answers (those on which judges differ count less)"
    )


def human_label_note(note: HumanLabelNote) -> str:
    """Where the values marked ‡ come from, in one sentence."""
    return (
        f"{HUMAN_MARK} from human labels in place of the rule's: {note.answers} answers to {note.prompts} prompts, "
        f"labelled blind; {rule_agrees(note)}. "
        "Flips, categories and single seeds use the rule."
    )


def calibration(rule: Calibration) -> str:
    """How far a rule is from people by kind of prompt, in one sentence."""
    low, high = rule.separation_errors
    return (
        f"{rule.rule} against people, {rule.answers:,} answers of {len(rule.models)} models ({rule.date}): "
        f"{rule_error(rule)}, d′ by {signed(low, 2)} to {signed(high, 2)}."
    )


def rule_error(rule: Calibration) -> str:
    """The same in a few words: `rates off by −19.5 to 0.0 pp on unsafe prompts, −4.4 to +2.8 pp on safe ones`."""
    unsafe, safe = (
        f"{signed(100 * low, 1)} to {signed(100 * high, 1)} pp" for low, high in (rule.unsafe_errors, rule.safe_errors)
    )
    return f"rates off by {unsafe} on unsafe prompts, {safe} on safe ones"


def judged_interval(measure: Measure, interval: tuple[float, float], *, sign: bool = False) -> str:
    """An interval with the error of the rule in it: `55 to 93 %`, `−0.3 to +1.4`.

    Args:
        measure: whose value it is of.
        interval: its ends.
        sign: whether it is of a difference, which always has a sign.
    """
    scale, digits = (100, 0) if measure.unit == "%" else (1, 1)
    low, high = ((signed if sign else plain)(scale * end, digits) for end in interval)
    unit = {"%": " pp" if sign else " %"}.get(measure.unit, "")
    return f"{low} to {high}{unit}"


def condition_sentence(result: FailConditionResult) -> str:
    """A --fail-if and what was measured: `refusal.safe > 0.2 is met: 41.6 % [35.1, 48.3]`."""
    measure = measure_named(result.measure)
    if result.of == "change":
        measured = f"{difference(measure, result.value)} {interval(measure, result.low_95, result.high_95)}"
    else:
        row = Estimate(name=measure.name, value=result.value, low_95=result.low_95, high_95=result.high_95, prompts=0)
        measured = estimate(measure, row)
    judged = "not met" if not result.failed else "met" if result.estimate_meets else "not ruled out"
    return f"{result.condition} is {judged}: {measured}"


def loss_line(policy: float, critic: float) -> str:
    """The losses; the last line of every screen."""
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


def status(name: str) -> str:
    """A run's status in words: `stopped early`."""
    return name.replace("_", " ")


def one_line(text: str, width: int | None = None) -> str:
    """Text of a model or a user on one line, cut to a width in columns."""
    flat = " ".join(printable(text).split())
    if width is None or cell_len(flat) <= width:
        return flat
    flat = flat[:width]
    while cell_len(flat) > width - 1:
        flat = flat[:-1]
    return flat.rstrip() + "…"


def verdict_sentence(measure: Measure, change: MeasureChange, comparison: Comparison | None = None) -> str:
    """The result of the comparison for one measure, in one sentence.

    Args:
        measure: the measure.
        change: of it.
        comparison: that it belongs to, which knows the smallest change that matters.
    """
    title = measure.title.strip()
    at_start = f"{title[:1].upper()}{title[1:]}"
    if change.reason is not None:
        consequence = "" if UNREAD in change.reason else ", so the two kinds of prompt cannot be told apart"
        return f"No {title}: {change.reason}{consequence}."
    if change.difference is None:
        return f"No common data for {title}."
    numbers = (
        f"{value(measure, change.before)} → {value(measure, change.after)}, "
        f"{difference(measure, change.difference)}, 95 % interval {interval(measure, change.low_95, change.high_95)}"
    )
    match change.verdict:
        case "CHANGED":
            rose = change.difference > (1 if measure.statistic == "geometric_mean" else 0)
            return f"{at_start} {'rose' if rose else 'fell'}: {numbers}."
        case "EQUIVALENT":
            inner = interval(measure, change.low_90, change.high_90)
            within = f", {margin(measure, comparison)}" if comparison else ""
            return (
                f"{at_start} stayed within the smallest change that matters{within} (90 % interval {inner}): {numbers}."
            )
        case "NO CHANGE DETECTED":
            smallest = detectable_change(measure, change, comparison)
            limit = f"; the smallest change this evaluation could detect is {smallest}" if smallest else ""
            return f"No detectable change in {title}: {numbers}{limit}."
        case "info":
            return f"{at_start} (not tested): {numbers}."
        case _:
            return f"Too little data for {title}: {numbers}."
