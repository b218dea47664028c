"""The refusal rule against people by model and kind of prompt, and whether its intervals hold for models left out.

    python benchmarks/judge_error.py FILE [FILE …]
    python benchmarks/judge_error.py --simulate 100

A FILE is a path or an http(s) address of a CSV with human labels, such as XSTest's. Columns: `completion` or `answer`;
`final_label` or `label` (1… or comply, anything else refuses); `type` (contrast… should be refused) or `expect`
(refuse, comply); `model`, else the last word of the file's name.

It prints, as Markdown: each model and kind of prompt by people and by the rule; each model with the 95 % intervals that
the other models give its rates and d′; every pair of models with what people and the rule make of the difference; and
the counts for `ppo_cli/behaviours/refusal_calibration.py`. --simulate prints how many intervals hold the truth where
labelled models and two others are drawn from one distribution.

Not here: the labels (they belong to their makers), the intervals (`ppo_cli.stats.judge_error`).
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.behaviours.refusal import VERSION, refuses
from ppo_cli.behaviours.refusal_calibration import CALIBRATION
from ppo_cli.records.answers import Expect
from ppo_cli.records.calibration import Agreement, ModelAgreement
from ppo_cli.records.measures import Measure
from ppo_cli.reports.formatting import plain, signed
from ppo_cli.stats.intervals import LEVEL, PairedResult, paired_difference
from ppo_cli.stats.judge_error import JudgedPolicy, judged_interval, judged_intervals
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.score_intervals import wilson

MEASURES = tuple(measure_named(f"refusal.{name}") for name in ("unsafe", "safe", "separation"))
EXPECTS: tuple[Expect, Expect] = ("refuse", "comply")
TIMEOUT_S = 60
Draw = Callable[[np.random.Generator], float]
SPREADS: tuple[tuple[str, Draw, Draw], ...] = (
    ("beta(9, 1), beta(30, 1)", lambda random: random.beta(9, 1), lambda random: random.beta(30, 1)),
    ("beta(40, 3), beta(60, 1)", lambda random: random.beta(40, 3), lambda random: random.beta(60, 1)),
    ("beta(2, 1), beta(10, 1)", lambda random: random.beta(2, 1), lambda random: random.beta(10, 1)),
    (
        "0.98 or, of 2 in 5, 0.75; beta(30, 1)",
        lambda random: random.choice([0.98, 0.75], p=[0.6, 0.4]),
        lambda random: random.beta(30, 1),
    ),
)
"""How sensitivities and specificities are spread over simulated models."""


@dataclass(frozen=True, kw_only=True)
class LabelledModel:
    """The labelled answers of one model, one per prompt."""

    name: str
    by_rule: LabelMatrix
    by_people: LabelMatrix

    @property
    def counts(self) -> ModelAgreement:
        """How often the rule and people agree, by kind of prompt."""
        unsafe, safe = (self._agreement(expect) for expect in EXPECTS)
        return ModelAgreement(model=self.name, unsafe=unsafe, safe=safe)

    def _agreement(self, expect: str) -> Agreement:
        rows = np.array(self.by_rule.expects) == expect
        rule, people = (labels.labels["refused"][rows, 0] > 0 for labels in (self.by_rule, self.by_people))
        return Agreement(
            both=int((rule & people).sum()),
            missed=int((people & ~rule).sum()),
            false_alarms=int((rule & ~people).sum()),
            neither=int((~rule & ~people).sum()),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--simulate", type=int, metavar="ROUNDS")
    given = parser.parse_args()
    if given.simulate:
        print("\n".join(simulate(given.simulate)))
    if not given.files:
        return
    models = read_models(given.files)
    answers = sum(len(model.by_rule.prompt_ids) for model in models)
    print(f"Rule {VERSION}, {answers} answers of {len(models)} models\n")
    for table in (by_kind, left_out, pairs, rows_of_code):
        print("\n".join(table(models)), end="\n\n")


def read_models(files: Sequence[str]) -> list[LabelledModel]:
    """The labelled answers of every model, by name."""
    rows = defaultdict[str, list[dict[str, str]]](list)
    for name in files:
        for row in csv.DictReader(io.StringIO(_text(name), newline="")):
            rows[row.get("model") or Path(name).stem.rpartition("_")[2]].append(row)
    return [_model(name, rows[name]) for name in sorted(rows)]


def by_kind(models: Sequence[LabelledModel]) -> Iterator[str]:
    """A row per model and kind of prompt."""
    yield "| model | prompts | people | rule | error, points | finds, of refusals | leaves alone, of other answers |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for model in models:
        for name, kind in (("unsafe", model.counts.unsafe), ("safe", model.counts.safe)):
            yield (
                f"| {model.name} | {name} | {100 * kind.rate_by_people:.1f} % | {100 * kind.rate_by_rule:.1f} % | "
                f"{signed(100 * kind.rate_error, 1)} | {_share(kind.both, kind.refusals)} | "
                f"{_share(kind.neither, kind.others)} |"
            )


def left_out(models: Sequence[LabelledModel]) -> Iterator[str]:
    """A row per model, with the intervals that the other models give."""
    yield (
        "| model left out | agreement | unsafe: people, rule [interval from the others] | safe: the same | "
        "d′: the same | holds |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for model in models:
        kinds = model.counts.unsafe + model.counts.safe
        cells, held = [], 0
        for measure in MEASURES:
            low, high = judged_interval(_without(measure, models, [model]), JudgedPolicy(model.by_rule)) or (0.0, 0.0)
            people, rule = _values(measure, model.counts)
            numbers = [_number(measure, value) for value in (people, rule, low, high)]
            cells.append(f"{numbers[0]}, {numbers[1]} [{numbers[2]}, {numbers[3]}]")
            held += low <= people <= high
        agree = 100 * (kinds.both + kinds.neither) / kinds.answers
        yield f"| {model.name} | {agree:.1f} % | {' | '.join(cells)} | {held} of {len(MEASURES)} |"


def pairs(models: Sequence[LabelledModel]) -> Iterator[str]:
    """How often the rule's verdict on a difference is another than people's, and the judged interval holds."""
    yield "| pair | measure | people | rule [its interval] | with the judge's error, from the others | holds |"
    yield "| --- | --- | --- | --- | --- | --- |"
    other_verdict = held = held_plain = total = 0
    for a, b in itertools.combinations(models, 2):
        prompts = sorted(set(a.by_rule.prompt_ids) & set(b.by_rule.prompt_ids))
        rule, people = ([labels.select(prompts) for labels in of_both] for of_both in _matrices(a, b))
        for measure in MEASURES:
            by_rule, by_people = paired_difference(measure, *rule), paired_difference(measure, *people)
            judged = judged_intervals(_without(measure, models, [a, b]), *map(JudgedPolicy, rule))
            if by_rule is None or by_people is None or judged is None:
                continue
            low, high = judged[2]
            holds = low <= by_people.difference <= high
            total, held = total + 1, held + holds
            held_plain += by_rule.low_95 <= by_people.difference <= by_rule.high_95
            other_verdict += _side(by_rule) != _side(by_people)
            of_people, of_rule, *ends = (
                _number(measure, value)
                for value in (by_people.difference, by_rule.difference, by_rule.low_95, by_rule.high_95, low, high)
            )
            yield (
                f"| {a.name}, {b.name} | {measure.title} | {of_people} | {of_rule} [{ends[0]}, {ends[1]}] | "
                f"[{ends[2]}, {ends[3]}] | {'yes' if holds else 'no'} |"
            )
    yield ""
    yield (
        f"Of {total} differences, {other_verdict} have another verdict by the rule than by people (the interval is on "
        f"another side of 0, or on one at all). People's difference is in the plain interval in {held_plain}, in the "
        f"one with the judge's error in {held}."
    )


def simulate(rounds: int) -> Iterator[str]:
    """How many 95 % intervals hold the truth, by the spread of sensitivities and the number of labelled models.

    A labelled model has 240 answers to unsafe prompts and 260 to safe ones. Two more models answer 100 prompts of each
    kind; their true rates are uniform, 30 to 97 % on unsafe prompts and 3 to 60 % on safe ones.
    """
    yield "| sensitivities, specificities | labelled models | unsafe | safe | d′ | difference of d′ |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for (name, sensitivity, specificity), labelled in itertools.product(SPREADS, (3, 5, 8)):
        generator, held = np.random.default_rng([11, labelled]), np.zeros(4)
        for _ in range(rounds):
            drawn = [[draw(generator) for draw in (sensitivity, sensitivity, specificity)] for _ in range(labelled + 2)]
            models = tuple(_simulated_model(generator, *shares) for shares in drawn[:labelled])
            measures = [replace(m, calibration=replace(CALIBRATION, models=models)) for m in MEASURES]
            truths = generator.uniform((0.3, 0.03), (0.97, 0.6), size=(2, 2))
            pair = [_simulated_answers(generator, *both) for both in zip(truths, drawn[labelled:], strict=True)]
            d_primes = ndtri(truths[:, 0]) - ndtri(truths[:, 1])
            change = judged_intervals(measures[2], *pair)
            intervals = [judged_interval(measure, pair[0]) for measure in measures] + [change and change[2]]
            wanted = (*truths[0], d_primes[0], d_primes[1] - d_primes[0])
            held += [ends is None or ends[0] <= truth <= ends[1] for ends, truth in zip(intervals, wanted, strict=True)]
        yield f"| {name} | {labelled} | {' | '.join(f'{100 * share:.0f} %' for share in held / rounds)} |"


def _simulated_model(
    generator: np.random.Generator, unsafe_found: float, safe_found: float, left_alone: float
) -> ModelAgreement:
    """The counts of a labelled model with these shares of refusals found and other answers left alone."""

    def counted(found: float, refusals: int, others: int) -> Agreement:
        both, neither = generator.binomial(refusals, found), generator.binomial(others, left_alone)
        return Agreement(both=both, missed=refusals - both, false_alarms=others - neither, neither=neither)

    return ModelAgreement(model="", unsafe=counted(unsafe_found, 200, 40), safe=counted(safe_found, 60, 200))


def _simulated_answers(generator: np.random.Generator, truths: Floats, shares: Sequence[float]) -> JudgedPolicy:
    """What the rule reads of 100 answers to each kind of prompt."""
    *found, left_alone = shares
    rates = [truth * share + (1 - truth) * (1 - left_alone) for truth, share in zip(truths, found, strict=True)]
    labels = np.repeat([0.0, 1.0], 100)[:, None]
    labels[:100, 0], labels[100:, 0] = (np.arange(100) < generator.binomial(100, rate) for rate in rates)
    return JudgedPolicy(
        LabelMatrix(
            prompt_ids=tuple(f"p{row:03d}" for row in range(200)),
            categories=("x",) * 200,
            expects=(EXPECTS[0],) * 100 + (EXPECTS[1],) * 100,
            labels={"refused": labels},
            texts=tuple((str(generator.random()),) for _ in range(200)),
        )
    )


def rows_of_code(models: Sequence[LabelledModel]) -> Iterator[str]:
    """The counts as they stand in `refusal_calibration`."""
    yield "```"
    for model in models:
        counts = model.counts
        yield f'ModelAgreement(model="{counts.model}", unsafe={_code(counts.unsafe)}, safe={_code(counts.safe)}),'
    yield "```"


def _text(name: str) -> str:
    if not name.startswith(("http://", "https://")):
        return Path(name).read_text(encoding="utf-8")
    with urllib.request.urlopen(name, timeout=TIMEOUT_S) as reply:
        return str(reply.read().decode("utf-8"))


def _model(name: str, rows: Sequence[dict[str, str]]) -> LabelledModel:
    expects = [row.get("expect") or EXPECTS[not row["type"].startswith("contrast")] for row in rows]
    answers = [row["completion"] if "completion" in row else row["answer"] for row in rows]
    labels = [row["final_label"] if "final_label" in row else row["label"] for row in rows]

    def matrix(refused: Sequence[bool]) -> LabelMatrix:
        return LabelMatrix(
            prompt_ids=tuple(row["id"] for row in rows),
            categories=tuple(row.get("type", "") for row in rows),
            expects=tuple(expects),  # type: ignore[arg-type]
            labels={"refused": np.array(refused, dtype=float)[:, None]},
            texts=tuple((answer,) for answer in answers),
        )

    return LabelledModel(
        name=name,
        by_rule=matrix([refuses(answer) for answer in answers]),
        by_people=matrix([not label.startswith(("1", "comply")) for label in labels]),
    )


def _without(measure: Measure, models: Sequence[LabelledModel], left: Sequence[LabelledModel]) -> Measure:
    """The measure with the calibration of the other models."""
    others = tuple(model.counts for model in models if model not in left)
    return replace(measure, calibration=replace(CALIBRATION, models=others))


def _values(measure: Measure, counts: ModelAgreement) -> tuple[float, float]:
    """By people and by the rule."""
    if measure.statistic == "separation":
        return counts.separation_by_people, counts.separation_by_rule
    kind = counts.unsafe if measure.expect == "refuse" else counts.safe
    return kind.rate_by_people, kind.rate_by_rule


def _matrices(a: LabelledModel, b: LabelledModel) -> tuple[list[LabelMatrix], list[LabelMatrix]]:
    """The labels of both models by the rule, and by people."""
    return [a.by_rule, b.by_rule], [a.by_people, b.by_people]


def _side(difference: PairedResult) -> int:
    """The side of 0 that its interval is on; 0 where it holds 0."""
    return int(difference.low_95 > 0) - int(difference.high_95 < 0)


def _share(successes: int, trials: int) -> str:
    if not trials:
        return "–"
    low, high = wilson(successes / trials, trials, LEVEL)
    return f"{100 * successes / trials:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {trials}"


def _number(measure: Measure, value: float) -> str:
    return plain(100 * value, 1) if measure.unit == "%" else plain(value, 2)


def _code(kind: Agreement) -> str:
    return repr(kind).rpartition(".")[2]


if __name__ == "__main__":
    main()
