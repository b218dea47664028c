"""`ppo label`: a person labels answers of a run without knowing which policy gave them, and what that shows.

The same prompts are taken from step 0 and from the last policy, one answer each, in mixed order. So the mean
difference of the labels is paired and has no error of a rule in it; its interval is wider, for there are fewer answers.

Never imports torch. Not here: showing answers and reading keys (`cli`), the file (`store.labels`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.behaviours.label_answers import label_sample as labels_of_rules
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import UsageError
from ppo_cli.prompts.jsonl import read_prompts
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import HumanLabels, LabelledAnswer, Sample
from ppo_cli.setup.resolve import INPUTS
from ppo_cli.stats.comparison import compare
from ppo_cli.stats.intervals import wilson
from ppo_cli.store.evaluations import is_complete, read_samples, read_summary
from ppo_cli.store.labels import Judgement, Place, add_label, read_labels
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, find_run

MIN_ANSWERS, DEFAULT_ANSWERS, MAX_ANSWERS = 60, 80, 120
"""Answers to label; half of them are of step 0."""
MEASURED = ("refusal.separation", "refusal.unsafe", "refusal.safe")
"""What the screen of `ppo label` shows."""


@dataclass(frozen=True, kw_only=True)
class LabelItem:
    """One answer to label."""

    position: Place
    prompt: Prompt
    sample: Sample


class LabellingSession:
    """A person's way through the answers."""

    def __init__(self, run: Run, last: int, items: Sequence[LabelItem]) -> None:
        self.run, self.last, self.items = run, last, tuple(items)
        self._path = run.layout.labels
        self.given = read_labels(self._path, {item.position: item.sample.answer for item in items})
        self.position = next(
            (number for number, item in enumerate(items) if item.position not in self.given), len(self.items)
        )

    @property
    def current(self) -> LabelItem | None:
        """The answer to label now, None after the last."""
        return self.items[self.position] if self.position < len(self.items) else None

    def add(self, judgement: Judgement) -> None:
        """Labels the current answer, saves, and goes on to the next."""
        item = self.items[self.position]
        add_label(self._path, item.position, item.sample.answer, judgement)
        self.given[item.position] = judgement
        self.position += 1

    def back(self) -> None:
        """To the answer before."""
        self.position = max(0, self.position - 1)


def start_labelling(name: str, *, answers: int = DEFAULT_ANSWERS, output: Path = Path("runs")) -> LabellingSession:
    """Chooses the answers of a run to label, the same ones each time, and goes on where it was left.

    Args:
        name: run folder, or its name in the output folder.
        answers: how many, half of them of step 0; fewer where there are not so many prompts.
        output: folder of run folders.

    Raises:
        UsageError: no such run, too few or too many answers, or no whole evaluation besides step 0.
        IntegrityError: the run was changed after freezing.
    """
    if not MIN_ANSWERS <= answers <= MAX_ANSWERS:
        raise UsageError(
            f"--answers {answers} is not between {MIN_ANSWERS} and {MAX_ANSWERS}.",
            f"{DEFAULT_ANSWERS} take half an hour.",
        )
    run = find_run(name, output)
    run.verify()
    last = _last_step(run)
    if last is None:
        raise UsageError(f"{run.name} has no whole evaluation after training.", "Finish it, or see `ppo runs`.")
    return LabellingSession(run, last, _items(run, last, answers // 2))


@dataclass(frozen=True, kw_only=True)
class HumanLabelledAnswers:
    """The labels that a person gave to answers of one policy."""

    labelled: tuple[LabelledAnswer, ...]
    """Refusals by the labels alone; a partial refusal counts."""
    agree: int
    """Of these read by the rule as by the person."""


def read_human_labels(run: Run, step: int) -> HumanLabelledAnswers | None:
    """The labels of a run's answers at a step, skipped answers left out; None where there are none."""
    if not run.layout.labels.is_file() or not is_complete(run.layout.evaluation(step)):
        return None
    prompts = {prompt.id: prompt for prompt in _prompts(run)}
    samples = {(step, sample.prompt_id, sample.sample): sample for sample in _samples(run, step)}
    found = read_labels(run.layout.labels, {place: sample.answer for place, sample in samples.items()})
    given = {place: judgement for place, judgement in sorted(found.items()) if judgement != "skip"}
    if not given:
        return None
    by_rule = labels_of_rules([prompts[place[1]] for place in given], [samples[place] for place in given])
    return HumanLabelledAnswers(
        labelled=tuple(_labelled(prompts[place[1]], place, judgement) for place, judgement in given.items()),
        agree=sum(
            row.labels["refused"] == _refused(judgement) for row, judgement in zip(by_rule, given.values(), strict=True)
        ),
    )


def summarise_human_labels(run: Run, step: int) -> HumanLabels | None:
    """What people's labels say of a step against step 0; None where there are none of it."""
    now = read_human_labels(run, step) if step else None
    before = read_human_labels(run, 0)
    if now is None or not is_complete(run.layout.evaluation(0)):
        return None
    start = before or HumanLabelledAnswers(labelled=(), agree=0)
    answers, agree = len(start.labelled) + len(now.labelled), start.agree + now.agree
    low, high = wilson(agree / answers, answers)
    by_people = compare(
        ("step 0", f"step {step}"),
        start.labelled,
        now.labelled,
        [measure_named(name) for name in MEASURED],
        {prompt.id: prompt for prompt in _prompts(run)},
        primary=MEASURED[0],
        smallest_effect=measure_named(MEASURED[0]).equivalence_margin,
    )
    return HumanLabels(
        step=step,
        answers=answers,
        agree=agree,
        agreement=agree / answers,
        low_95=low,
        high_95=high,
        comparison=by_people,
    )


def _items(run: Run, last: int, wanted: int) -> list[LabelItem]:
    """The same answer, by number, of both policies to each chosen prompt; in an order that the run's name decides."""
    judged = [prompt for prompt in _prompts(run) if prompt.expect in ("refuse", "comply")] or _prompts(run)
    chosen = {prompt.id: prompt for prompt in stratified_subset(judged, wanted)}
    items = [
        LabelItem(position=(step, sample.prompt_id, sample.sample), prompt=chosen[sample.prompt_id], sample=sample)
        for step in (0, last)
        for sample in _samples(run, step)
        if sample.prompt_id in chosen and sample.sample == 0
    ]
    return sorted(items, key=lambda item: hashlib.sha256(f"{run.name}\x1f{item.position}".encode()).digest())


def _last_step(run: Run) -> int | None:
    steps = [step for folder in run.layout.evaluations.iterdir() if (step := step_of(folder))]
    whole = [
        step
        for step in steps
        if is_complete(run.layout.evaluation(step))
        and not read_summary(run.layout.evaluation(step)).get("partial")
        and is_complete(run.layout.evaluation(0))
    ]
    return max(whole, default=None)


def _prompts(run: Run) -> list[Prompt]:
    return read_prompts(run.layout.root / INPUTS["prompts.eval"])


def _samples(run: Run, step: int) -> list[Sample]:
    read_summary(run.layout.evaluation(step))  # checks that they are what was written
    return read_samples(run.layout.evaluation(step))


def _refused(judgement: Judgement) -> float:
    return float(judgement in ("partial", "refuse"))


def _labelled(prompt: Prompt, place: Place, judgement: Judgement) -> LabelledAnswer:
    values: Mapping[str, float] = {"refused": _refused(judgement)}
    return LabelledAnswer(
        prompt_id=prompt.id,
        category=prompt.category,
        expect=prompt.expect,
        sample=place[2],
        text=judgement,
        labels=values,
    )
