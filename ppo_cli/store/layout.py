"""The names of the files in a run folder, in one table.

    runs/refusal-kl0.15-s1-7f3a9c/
      run.json              status, updates done           config.yaml      resolved config, read-only
      freeze.lock           digests of what is frozen      provenance.json  machine, packages, git, command line
      inputs/               copies of prompt files, chat template and reward files, read-only
      baseline_answers.jsonl     the reference's answers that the reward subtracts, one row per prompt
      metrics.jsonl         one row per update             timings.jsonl    seconds per update
      rollouts.jsonl        one row per episode            failed_updates.jsonl   answers of updates that failed
      checkpoints/step-000010/   plain Hugging Face files + state/
      eval/step-000010/     samples.jsonl  scores.<rules>.jsonl  summary.json (written last: complete)
      alarms.json           alarms of every evaluation, and the next change to try
      labels.jsonl          human labels, one row per label   label_design.json   how their prompts were chosen
      votes.jsonl           votes of `ppo chat --blind`, one row per vote
      reward_cache.0.jsonl  scores of reward services, one file per process
      tracking/             what trackers write on this machine
      reports/              HTML pages, seed noise         .running         locked while a process works on the run

Not here: reading and writing them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

VIEW_FOLDER = "view"
"""Beside the run folders: the pages that `ppo view` writes."""
CONFIG = "config.yaml"
PROMPT_FILES = {
    "prompts.train": "inputs/train.jsonl",
    "prompts.eval": "inputs/eval.jsonl",
    "model.warm_start": "inputs/sft.jsonl",
}
"""The copies of the prompt files, by the config key that names the file."""
CHAT_TEMPLATE = "inputs/chat_template.jinja"

CHECKPOINT_MANIFEST = "checkpoint.json"
"""Digests of a checkpoint's files."""

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
        return self.root / CONFIG

    @property
    def lock(self) -> Path:
        return self.root / "freeze.lock"

    @property
    def provenance(self) -> Path:
        return self.root / "provenance.json"

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    def prompt_file(self, key: str) -> Path:
        """The copy of the prompt file that a config key names, such as `prompts.eval`."""
        return self.root / PROMPT_FILES[key]

    @property
    def baseline_answers(self) -> Path:
        return self.root / "baseline_answers.jsonl"

    def reward_cache(self, rank: int) -> Path:
        return self.root / f"reward_cache.{rank}.jsonl"

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
        return self.root / "failed_updates.jsonl"

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
    def label_design(self) -> Path:
        return self.root / "label_design.json"

    @property
    def votes(self) -> Path:
        return self.root / "votes.jsonl"

    @property
    def tracking(self) -> Path:
        return self.root / "tracking"

    @property
    def reports(self) -> Path:
        return self.root / "reports"


def own_paths(layout: RunLayout) -> list[Path]:
    """Every file and folder below a run that is this program's to write; what trackers write is left out.

    No link is followed.
    """
    files = ("run.json", "freeze.lock", CONFIG, ".running", "provenance.json", "alarms.json", "label_design.json")
    records = [path for path in layout.root.iterdir() if path.suffix == ".jsonl" or path.name in files]
    folders = [layout.inputs, layout.checkpoints, layout.evaluations, layout.reports]
    below = [
        Path(parent) / name
        for folder in folders
        if not folder.is_symlink()
        for parent, folder_names, names in os.walk(folder, followlinks=False)
        for name in (*folder_names, *names)
    ]
    return [*records, *folders, layout.tracking, *below]


def step_of(folder: Path) -> int | None:
    """The update number in a checkpoint's or evaluation's folder name."""
    match = STEP.fullmatch(folder.name)
    return int(match.group(1)) if match else None
