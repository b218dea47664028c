"""`ppo label`: choose answers of a run for a person to label blind, and record the labels.

The same prompts are taken from step 0 and from the last policy, one answer each, in mixed order. So the mean
difference of the labels is paired and has no error of a rule in it; its interval is wider, for there are fewer answers.
Where the second judge labelled the answers too, prompts on which it differs from the rule come first and are taken more
often (`label_design`).

Never imports torch. Not here: showing answers and reading keys (`cli`), measures from labels (`human_labels`), the
file (`store.labels`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.errors import UsageError
from ppo_cli.evaluation.human_labels import MIN_PROMPTS
from ppo_cli.evaluation.judge_agreement import human_label_summary
from ppo_cli.evaluation.label_design import can_be_labelled, design_labels, disputed_prompts
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import HumanLabels, Sample
from ppo_cli.records.program import command
from ppo_cli.store.labels import (
    Judgement,
    LabelDesign,
    SampleKey,
    add_label,
    read_label_design,
    read_labels,
    write_label_design,
)
from ppo_cli.store.runs import Run, find_run

MIN_ANSWERS, DEFAULT_ANSWERS, MAX_ANSWERS = 2 * MIN_PROMPTS, 80, 120
"""Answers to label; half of them are of step 0."""


@dataclass(frozen=True, kw_only=True)
class LabelItem:
    """One answer to label."""

    key: SampleKey
    prompt: Prompt
    sample: Sample


class LabellingSession:
    """The answers that a person labels one after the other, and the labels so far."""

    def __init__(
        self, records: RunRecords, step: int, items: Sequence[LabelItem], design: LabelDesign | None = None
    ) -> None:
        """Reads the labels so far, and starts at the first answer without one.

        Args:
            records: of the run.
            step: of the policy whose answers are labelled beside those of step 0.
            items: in the order in which they are shown.
            design: how their prompts were chosen, kept with the first label; None where all count alike.
        """
        self._unsaved_design = design
        self.records, self.step, self.items = records, step, tuple(items)
        self._path = records.layout.labels
        self.given = read_labels(self._path, {item.key: item.sample.answer.text for item in items})
        """The label of each labelled answer."""
        self.position = next((index for index, item in enumerate(items) if item.key not in self.given), len(self.items))
        """Index of the current answer."""

    def __repr__(self) -> str:
        return f"LabellingSession({str(self.records.layout.root)!r}, remaining={self.remaining})"

    @property
    def current(self) -> LabelItem | None:
        """The answer to label now, None after the last."""
        return self.items[self.position] if self.position < len(self.items) else None

    @property
    def remaining(self) -> int:
        """Answers without a label."""
        return sum(item.key not in self.given for item in self.items)

    def add(self, judgement: Judgement) -> None:
        """Labels the current answer, saves the label, and goes on to the next answer."""
        item = self.items[self.position]
        if self._unsaved_design is not None:
            write_label_design(self.records.layout.label_design, self.step, self._unsaved_design)
            self._unsaved_design = None
        add_label(self._path, item.key, item.sample.answer.text, judgement)
        self.given[item.key] = judgement
        self.position += 1

    def back(self) -> None:
        """Goes back to the answer before."""
        self.position = max(0, self.position - 1)

    def summary(self) -> HumanLabels | None:
        """The labels so far compared with step 0 and with the rule; None while there are none of the later policy."""
        evaluations = self.records.evaluation(self.step), self.records.evaluation(0)
        return human_label_summary(self.records.experiment, *evaluations)


def label(run: str | Path | Run, *, answers: int = DEFAULT_ANSWERS, runs_dir: str | Path = "runs") -> LabellingSession:
    """Chooses answers of a run to label, the same ones every time, and continues where labelling was left.

    Args:
        run: a run folder, or its name in `runs_dir`.
        answers: how many, half of them of step 0; fewer where there are not so many prompts.
        runs_dir: folder of run folders.

    Raises:
        UsageError: no such run, too few or too many answers, or no whole evaluation besides step 0.
        IntegrityError: the run was changed after freezing.

    Example:
        >>> session = label("runs/refusal-kl0.15-s1-7f3a9c")
        >>> print(session.current.prompt.text, session.current.sample.answer.text)
        >>> session.add("refuse")
        >>> session.summary()
    """
    if not MIN_ANSWERS <= answers <= MAX_ANSWERS:
        raise UsageError(
            f"--answers {answers} is not between {MIN_ANSWERS} and {MAX_ANSWERS}.",
            f"{DEFAULT_ANSWERS} take half an hour.",
        )
    records = RunRecords.verified(find_run(run, Path(runs_dir)))
    step = records.last_whole_step()
    if not step or 0 not in records.evaluated_steps():
        raise UsageError(
            f"{records.name} has no whole evaluation after training.", f"Finish it, or see `{command('runs')}`."
        )
    design = _design(records, step, answers // 2)
    return LabellingSession(records, step, _items(records, step, answers // 2, design), design)


def _design(records: RunRecords, last: int, wanted: int) -> LabelDesign | None:
    """How prompts are chosen by what both judges say; None where no prompt is disputed, or labels were begun without.

    What was disputed when the first label was given stays so, for the weights follow from it.
    """
    rows = [row for step in (0, last) for row in records.evaluation(step).labelled if row.sample.index == 0]
    kept = read_label_design(records.layout.label_design, last)
    answers = {(last, row.prompt.id, 0): row.sample.answer.text for row in records.evaluation(last).labelled}
    if kept is None and read_labels(records.layout.labels, answers):
        return None
    disputed = disputed_prompts(rows) if kept is None else kept.disputed
    return design_labels(can_be_labelled(records.prompts("prompts.eval")), disputed, wanted) if disputed else None


def _items(records: RunRecords, last: int, wanted: int, design: LabelDesign | None) -> list[LabelItem]:
    """The first answer of both policies to each chosen prompt, in an order that the run's name decides.

    Answers to disputed prompts come first.
    """
    prompts = can_be_labelled(records.prompts("prompts.eval"))
    if design is None:
        chosen, first = {prompt.id for prompt in stratified_subset(prompts, wanted)}, frozenset[str]()
    else:
        chosen, first = {*design.base, *design.extra}, design.disputed
    items = [
        LabelItem(key=(step, row.prompt.id, row.sample.index), prompt=row.prompt, sample=row.sample)
        for step in (0, last)
        for row in records.evaluation(step).labelled
        if row.prompt.id in chosen and row.sample.index == 0
    ]

    def place(item: LabelItem) -> tuple[bool, bytes]:
        return item.prompt.id not in first, hashlib.sha256(f"{records.name}\x1f{item.key}".encode()).digest()

    return sorted(items, key=place)
