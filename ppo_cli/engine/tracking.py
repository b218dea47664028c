"""Trackers: TensorBoard, Weights & Biases, Trackio and MLflow, through transformers' own callbacks.

A tracker looks on. It is told what stands in metrics.jsonl already, it draws no random number of ours, and one that
fails in the middle of a run is left alone from then on. Each step goes to a tracker once: a resumed run, which
repeats the updates after its last checkpoint with the same numbers, sends only those that are new, to the tracker's
run of before.

Where a tracker keeps its files, and what it calls things, is told through the environment variables that its
callback or its library documents; those that the user has set stay as they are. Neither weights nor prompts nor
answers are sent, unless the user's environment asks for the weights.

Not here: what is measured, the names of the trackers (`experiment.schema`).
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.loading import quiet_transformers
from ppo_cli.records.events import EvaluationDone, Event, EventHandler, Notice, UpdateDone
from ppo_cli.records.measures import Estimate
from ppo_cli.records.training import UpdateMetrics
from ppo_cli.store.files import disk_errors, read_json, write_json

if TYPE_CHECKING:
    from ppo_cli.engine.trainer import PolicyTrainer

SENT_FILE = "sent.json"
"""What each tracker has been sent, and its own name for the run."""

OWN_ID = re.compile(r"[\w-]{1,128}")
"""How wandb and mlflow name a run."""

NAMES = {
    "episodes": "episodes",
    "reward": "reward/mean",
    "reward_std": "reward/std",
    "kl": "kl/nats_per_answer",
    "kl_per_token": "kl/nats_per_token",
    "kl_coef": "kl/coef",
    "kl_penalty": "kl/penalty",
    "mean_answer_tokens": "answers/tokens",
    "eos_rate": "answers/ended",
    "entropy": "policy/entropy",
    "sampler_mismatch": "policy/sampler_mismatch",
    "approx_kl": "policy/approx_kl",
    "clip_fraction": "policy/clip_fraction",
    "ratio": "policy/ratio",
    "grad_norm": "policy/grad_norm",
    "learning_rate": "policy/learning_rate",
    "explained_variance": "critic/explained_variance",
    "policy_loss": "loss/policy",
    "value_loss": "loss/value",
}
"""What a tracker calls the numbers of UpdateMetrics; the callbacks of all but mlflow put `train/` before it."""


@dataclass
class TrackerState:
    """What one tracker has been sent."""

    id: str | None = None
    """Its own name for the run, where it needs that to go on with it."""
    steps: dict[str, int] = field(default_factory=dict)
    """The last step of each kind of row: update, interim, whole."""


def require_installed(names: Sequence[str]) -> None:
    """Checks that every tracker is installed.

    Raises:
        UsageError: with the command that installs it.
    """
    for name in names:
        found = find_spec(name)
        if found is None or found.origin is None:  # without an origin it is some folder of that name
            raise UsageError(
                f"tracking: {name} is not installed.",
                f"Install it with `{sys.executable} -m pip install {name}`, or leave it out of tracking.",
            )


def update_numbers(metrics: UpdateMetrics) -> dict[str, float]:
    """One update's metrics as a flat dict of numbers; what has no value is left out."""
    row = asdict(metrics)
    terms: Mapping[str, float] = row.pop("terms")
    statistics: Mapping[str, Mapping[str, float]] = row.pop("term_statistics")
    flat = {NAMES.get(name, name): value for name, value in row.items() if name != "update" and value is not None}
    flat |= {f"reward/terms/{name}": value for name, value in terms.items()}
    spread = {(name, kind): value for name, found in statistics.items() for kind, value in found.items()}
    return flat | {f"reward/terms/{name}/{kind}": value for (name, kind), value in spread.items() if kind != "mean"}


def evaluation_numbers(estimates: Sequence[Estimate], kind: str) -> dict[str, float]:
    """One evaluation as a flat dict: each measure with the ends of its 95 % interval.

    Args:
        estimates: the measures.
        kind: `interim` or `whole`; the subset and the whole evaluation set are not one curve.
    """
    numbers: dict[str, float] = {}
    for estimate in estimates:
        name = f"eval_{kind}/{estimate.name}"  # the callbacks turn `eval_` into `eval/`
        ends = {name: estimate.value, f"{name}/low": estimate.low_95, f"{name}/high": estimate.high_95}
        numbers |= {key: value for key, value in ends.items() if value is not None}
    return numbers


class Trackers:
    """The trackers of one run; a watcher in front of another."""

    def __init__(self, experiment: Experiment, folder: Path, on_event: EventHandler) -> None:
        """Takes the names; nothing is imported or begun yet.

        Args:
            experiment: names the trackers.
            folder: for their files, below the run's folder; made when there is a tracker.
            on_event: told of every event first.
        """
        self.experiment, self.folder, self.on_event = experiment, folder.absolute(), on_event
        self._callbacks: dict[str, Any] = {}
        self._trainer: PolicyTrainer | None = None
        self._sent: dict[str, TrackerState] = {}
        self._users_variables = frozenset(os.environ)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends every tracker, so that what it holds back is written, however the run ended."""
        for name in list(self._callbacks):
            self._tell_or_drop(name, "on_train_end")
        self._callbacks.clear()
        for variable in [*os.environ]:  # ours, and what the libraries add
            added = variable not in self._users_variables
            if added and any(name.upper() in variable for name in self.experiment.tracking):
                del os.environ[variable]

    def begin(self, trainer: PolicyTrainer) -> None:
        """Begins each tracker's run, or goes on with it.

        Args:
            trainer: TRL's frame, whose arguments, state and model the callbacks read.

        Raises:
            UsageError: a tracker cannot begin; it is better to know before the training than after.
            IntegrityError: the record of what was sent is damaged.
        """
        names = self.experiment.tracking
        if not names:
            return
        from transformers.integrations import get_reporting_integration_callbacks

        self._trainer = trainer
        self._sent = self._read_sent()
        for name in names:
            sent = self._sent.setdefault(name, TrackerState())
            with disk_errors(self.folder):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            for variable, value in tracker_environment(name, self.folder, self.experiment.name, sent.id).items():
                os.environ.setdefault(variable, value)
            try:
                (kind,) = get_reporting_integration_callbacks([name])
                with redirect_stdout(sys.stderr):
                    self._callbacks[name] = kind()
                self._tell(name, "on_train_begin")
                sent.id = _own_id(name)
            except Exception as error:
                self._callbacks.pop(name, None)
                raise UsageError(
                    f"tracking: {name} cannot begin: {_reason(error)}.",
                    f"Mend that, or go on without it: ppo train --resume {trainer.args.output_dir} tracking=[]",
                ) from error
        self._write_sent()

    def watch(self, event: Event) -> None:
        """Passes an event on, and sends what the trackers want to know of it."""
        self.on_event(event)
        if isinstance(event, UpdateDone):
            self._send("update", event.metrics.update, update_numbers(event.metrics))
        elif isinstance(event, EvaluationDone):
            self.evaluation(event.step, event.estimates, partial=event.partial)

    def evaluation(self, step: int, estimates: Sequence[Estimate], *, partial: bool) -> None:
        """Sends an evaluation."""
        kind = "interim" if partial else "whole"
        self._send(kind, step, evaluation_numbers(estimates, kind))

    def _send(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        due = [name for name in self._callbacks if step > self._sent[name].steps.get(kind, -1)]
        if not due or self._trainer is None:
            return
        self._trainer.state.global_step = step
        for name in due:
            if self._tell_or_drop(name, "on_log", logs=dict(numbers)):
                self._sent[name].steps[kind] = step
        self._write_sent()

    def _tell_or_drop(self, name: str, event: str, **more: Any) -> bool:  # noqa: ANN401 - for the callback
        try:
            self._tell(name, event, **more)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the run goes on
            self._callbacks.pop(name, None)
            text = f"{name} failed and gets nothing more of this run ({_reason(error)}); metrics.jsonl has everything."
            self.on_event(Notice(text=text, level="warning"))
            return False
        return True

    def _tell(self, name: str, event: str, **more: Any) -> None:  # noqa: ANN401 - for the callback
        """Calls one callback, with what it prints kept out of the command's result."""
        if self._trainer is None:
            return
        frame, callback = self._trainer, self._callbacks[name]
        more |= {"model": frame.model, "processing_class": frame.processing_class}
        with redirect_stdout(sys.stderr), quiet_transformers():
            getattr(callback, event)(frame.args, frame.state, frame.control, **more)
            if event == "on_train_end":
                _close_quietly(name)

    def _read_sent(self) -> dict[str, TrackerState]:
        path = self.folder / SENT_FILE
        if not path.is_file():
            return {}
        try:
            return {name: _sent(row["id"], row["steps"]) for name, row in read_json(path).items()}
        except (TypeError, KeyError, AttributeError, ValueError):
            next_step = "Remove it; the trackers then begin runs of their own."
            raise IntegrityError(f"{path} is damaged.", next_step) from None

    def _write_sent(self) -> None:
        write_json(self.folder / SENT_FILE, {name: asdict(sent) for name, sent in self._sent.items()})


def _sent(own_id: str | None, steps: Mapping[str, int]) -> TrackerState:
    """A row of the record, which may come from somebody else, checked."""
    if own_id is not None and not OWN_ID.fullmatch(own_id):
        raise ValueError(own_id)
    return TrackerState(own_id, {str(kind): int(step) for kind, step in steps.items()})


def tracker_environment(name: str, folder: Path, project: str, own_id: str | None) -> dict[str, str]:
    """The environment variables that keep a tracker below the run's folder, and its own default name for the project.

    Args:
        name: of the tracker.
        folder: holds a folder for each tracker.
        project: the experiment's name, which groups its runs.
        own_id: the tracker's own name for a run that goes on.
    """
    place = folder / name
    if name == "tensorboard":
        return {"TENSORBOARD_LOGGING_DIR": str(place)}
    if name == "trackio":  # project and run come from the arguments
        return {"TRACKIO_DIR": str(place)}
    if name == "mlflow":
        return {
            "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(place / "artifacts"),  # or it makes ./mlruns
            "MLFLOW_EXPERIMENT_NAME": project,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **({"MLFLOW_RUN_ID": own_id} if own_id else {}),
        }
    return {
        "WANDB_DIR": str(folder),  # it adds `wandb` itself
        "WANDB_CACHE_DIR": str(place / "cache"),
        "WANDB_PROJECT": project,
        "WANDB_CONSOLE": "off",  # the live view shows prompts and answers
        "WANDB_DISABLE_GIT": "true",  # it would send the diff, which may hold prompts too
        "WANDB_DISABLE_CODE": "true",
        **({"WANDB_RUN_ID": own_id, "WANDB_RESUME": "allow"} if own_id else {}),
    }


def _own_id(name: str) -> str | None:
    """The name that a tracker gave the run; trackio goes on by the run's name, tensorboard by its folder."""
    if name == "wandb":
        return str(importlib.import_module(name).run.id)
    if name == "mlflow":
        return str(importlib.import_module(name).active_run().info.run_id)
    return None


def _close_quietly(name: str) -> None:
    """Ends what a callback leaves open, so that the next run of this process has a tracker of its own."""
    if name == "wandb":
        wandb = importlib.import_module(name)
        wandb.finish()
        wandb.teardown()  # it reads its environment once, before its first run
    elif name == "mlflow":
        importlib.import_module(name).flush_async_logging()
    elif name == "trackio":  # it reads its folder once, while it is imported
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[module]


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
