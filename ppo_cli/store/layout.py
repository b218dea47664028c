"""The names of the files in a run folder, in one table.

    runs/refusal-kl0.15-s1-7f3a9c/
      run.json              what became of it           config.yaml      resolved config, read-only
      freeze.lock           digests                     provenance.json  where it ran and with what
      inputs/               copies of the prompts       reference_answers.jsonl
      metrics.jsonl         a line an update            timings.jsonl    seconds, apart from what must repeat
      rollouts.jsonl        a line an episode            broken.jsonl     episodes that could not be learnt from
      checkpoints/step-000010/   plain Hugging Face files + state/
      eval/step-000010/     samples.jsonl  scores.<rules>.jsonl  summary.json (last = complete)
      labels.jsonl          what people said of answers, a line a label
      tracking/             what trackers keep on this machine
      reports/              .running         locked while a process works on the run
      service_scores.0.jsonl     what reward services said, a file a process
      alarms.json           what the evaluations rang, and the next change to try

Not here: reading and writing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

STEP = re.compile(r"step-(\d{6})")


@dataclass(frozen=True)
class RunLayout:
    """Paths inside one run folder."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "run.json"

    @property
    def run_lock(self) -> Path:
        return self.root / ".running"

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def lock(self) -> Path:
        return self.root / "freeze.lock"

    @property
    def provenance(self) -> Path:
        return self.root / "provenance.json"

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    @property
    def baseline_answers(self) -> Path:
        return self.root / "reference_answers.jsonl"

    def reward_cache(self, rank: int) -> Path:
        return self.root / f"service_scores.{rank}.jsonl"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def timings(self) -> Path:
        return self.root / "timings.jsonl"

    @property
    def rollouts(self) -> Path:
        return self.root / "rollouts.jsonl"

    @property
    def failed_updates(self) -> Path:
        return self.root / "broken.jsonl"

    @property
    def alarms(self) -> Path:
        return self.root / "alarms.json"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:06d}"

    @property
    def evaluations(self) -> Path:
        return self.root / "eval"

    def evaluation(self, step: int) -> Path:
        return self.evaluations / f"step-{step:06d}"

    @property
    def labels(self) -> Path:
        return self.root / "labels.jsonl"

    @property
    def tracking(self) -> Path:
        return self.root / "tracking"

    @property
    def reports(self) -> Path:
        return self.root / "reports"


def step_of(folder: Path) -> int | None:
    """The update number in a checkpoint's or evaluation's folder name."""
    found = STEP.fullmatch(folder.name)
    return int(found.group(1)) if found else None
