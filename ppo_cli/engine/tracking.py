"""Trackers: TensorBoard, Weights & Biases, Trackio, MLflow and SwanLab, through callbacks for transformers' Trainer.

A tracker gets a copy of what is in metrics.jsonl and changes no number of a run: it draws no random number of ours, and
one that fails during a run is dropped. Each step is sent once. A resumed run repeats the updates after its last
checkpoint with the same numbers; it continues the tracker's run and sends only the steps that are new.

A tracker's folder, project and run are set through the environment variables that its callback or its library
documents; those that the user has set stay as they are. Neither weights nor prompts nor answers are sent, unless the
user's environment asks for the weights.

Not here: what is measured, which trackers there are (`experiment.schema`).
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
from ppo_cli.records.program import command
from ppo_cli.records.training import UpdateMetrics
from ppo_cli.store.files import disk_errors, read_json, write_json

if TYPE_CHECKING:
    from ppo_cli.engine.trainer import PolicyTrainer

SENT_FILE = "sent.json"
"""Holds the last steps that each tracker has been sent, and its own id of the run."""

RUN_ID = re.compile(r"[\w-]{1,128}")
"""Ids of runs in wandb, mlflow and swanlab."""

NAMES = {
    "episodes": "episodes",
    "reward": "reward/mean",
    "reward_std": "reward/std",
    "kl": "kl/nats_per_answer",
    "kl_per_token": "kl/nats_per_token",
    "kl_coef": "kl/coef",
    "kl_penalty": "kl/penalty",
    "mean_answer_tokens": "answers/mean_tokens",
    "eos_rate": "answers/eos_rate",
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
"""Tracker names of the fields of UpdateMetrics; the callbacks of all but mlflow put `train/` before them."""


@dataclass
class TrackerState:
    """What one tracker has been sent: a row of sent.json."""

    id: str | None = None
    """Its own id of the run, where it needs that to continue it."""
    steps: dict[str, int] = field(default_factory=dict)
    """The last step sent, by kind of row: update, interim, whole."""


def require_installed(names: Sequence[str]) -> None:
    """Checks that every tracker is installed.

    Args:
        names: of trackers.

    Raises:
        UsageError: one is not installed; names the command that installs it.
    """
    for name in names:
        module = find_spec(name)
        if module is None or module.origin is None:  # without an origin it is some folder of that name
            raise UsageError(
                f"tracking: {name} is not installed.",
                f"Install it with `{sys.executable} -m pip install {name}`, or leave it out of tracking.",
            )


def update_numbers(metrics: UpdateMetrics) -> dict[str, float]:
    """One update's metrics as a flat dict of numbers; fields without a value are left out."""
    row = asdict(metrics)
    terms: Mapping[str, float] = row.pop("terms")
    statistics: Mapping[str, Mapping[str, float]] = row.pop("term_statistics")
    flat = {
        NAMES.get(name, name): value
        for name, value in row.items()
        if name not in ("update", "placebo") and value is not None
    }
    flat |= {f"reward/terms/{name}": value for name, value in terms.items()}
    return flat | {
        f"reward/terms/{name}/{statistic}": value
        for name, values in statistics.items()
        for statistic, value in values.items()
        if statistic != "mean"  # it is the term's own number
    }


def evaluation_numbers(estimates: Sequence[Estimate], kind: str) -> dict[str, float]:
    """One evaluation as a flat dict: each measure with the ends of its 95 % interval.

    Args:
        estimates: of the measures.
        kind: `interim` or `whole`; the subset and the whole evaluation set are two curves.
    """
    numbers: dict[str, float] = {}
    for estimate in estimates:
        name = f"eval_{kind}/{estimate.name}"  # the callbacks turn `eval_` into `eval/`
        ends = {name: estimate.value, f"{name}/low": estimate.low_95, f"{name}/high": estimate.high_95}
        numbers |= {key: value for key, value in ends.items() if value is not None}
    return numbers


class Trackers:
    """The trackers of one run: an event handler that passes every event on to another handler."""

    def __init__(self, experiment: Experiment, folder: Path, on_event: EventHandler) -> None:
        """Starts nothing and imports nothing yet.

        Args:
            experiment: names the trackers.
            folder: for their files, in the run's folder; created if there is a tracker.
            on_event: called with every event first.
        """
        self.experiment, self.folder, self.on_event = experiment, folder.absolute(), on_event
        self._callbacks: dict[str, Any] = {}
        self._trainer: PolicyTrainer | None = None
        self._states: dict[str, TrackerState] = {}
        self._user_variables = frozenset(os.environ)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends every tracker, so that it writes what it has buffered, however the run ended."""
        for name in list(self._callbacks):
            self._call_or_drop(name, "on_train_end")
        self._callbacks.clear()
        for variable in [*os.environ]:  # set here or by the libraries
            added = variable not in self._user_variables
            if added and any(name.upper() in variable for name in self.experiment.tracking):
                del os.environ[variable]

    def start(self, trainer: PolicyTrainer) -> None:
        """Starts each tracker's run, or continues it.

        Args:
            trainer: the callbacks read its arguments, state and model.

        Raises:
            UsageError: a tracker cannot start; the training has not begun.
            IntegrityError: sent.json is damaged.
        """
        names = self.experiment.tracking
        if not names:
            return
        self._trainer = trainer
        self._states = self._read_states()
        for name in names:
            state = self._states.setdefault(name, TrackerState())
            with disk_errors(self.folder):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            for variable, value in tracker_environment(name, self.folder, self.experiment.name, state.id).items():
                os.environ.setdefault(variable, value)
            try:
                with redirect_stdout(sys.stderr):
                    self._callbacks[name] = _new_callback(name, str(trainer.args.run_name))
                self._call(name, "on_train_begin")
                state.id = _run_id(name)
            except Exception as error:
                self._callbacks.pop(name, None)
                resume = command("train", "--resume", trainer.args.output_dir, "tracking=[]")
                raise UsageError(
                    f"tracking: {name} cannot start: {_reason(error)}.",
                    f"Fix that, or continue without it: {resume}",
                ) from error
        self._write_states()

    def handle(self, event: Event) -> None:
        """Passes an event on, and sends the numbers of updates and evaluations to the trackers."""
        self.on_event(event)
        if isinstance(event, UpdateDone):
            self._send("update", event.metrics.update, update_numbers(event.metrics))
        elif isinstance(event, EvaluationDone):
            self.send_evaluation(event.step, event.estimates, partial=event.partial)

    def send_evaluation(self, step: int, estimates: Sequence[Estimate], *, partial: bool) -> None:
        """Sends one evaluation.

        Args:
            step: updates done.
            estimates: of the measures.
            partial: whether it is an interim evaluation.
        """
        kind = "interim" if partial else "whole"
        self._send(kind, step, evaluation_numbers(estimates, kind))

    def _send(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        due = [name for name in self._callbacks if step > self._states[name].steps.get(kind, -1)]
        if not due or self._trainer is None:
            return
        self._trainer.state.global_step = step
        for name in due:
            if self._call_or_drop(name, "on_log", logs=dict(numbers)):
                self._states[name].steps[kind] = step
        self._write_states()

    def _call_or_drop(self, name: str, event: str, **more: Any) -> bool:  # noqa: ANN401 - for the callback
        """Calls one callback; one that fails is dropped with a notice."""
        try:
            self._call(name, event, **more)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the run goes on
            self._callbacks.pop(name, None)
            text = (
                f"{name} failed and is not sent the rest of this run ({_reason(error)}); metrics.jsonl has everything."
            )
            self.on_event(Notice(text=text, level="warning"))
            return False
        return True

    def _call(self, name: str, event: str, **more: Any) -> None:  # noqa: ANN401 - for the callback
        """Calls one callback; what it prints goes to stderr, not into the command's result."""
        if self._trainer is None:
            return
        trainer, callback = self._trainer, self._callbacks[name]
        more |= {"model": trainer.model, "processing_class": trainer.processing_class}
        with redirect_stdout(sys.stderr), quiet_transformers():
            getattr(callback, event)(trainer.args, trainer.state, trainer.control, **more)
            if event == "on_train_end":
                _close_quietly(name)

    def _read_states(self) -> dict[str, TrackerState]:
        path = self.folder / SENT_FILE
        if not path.is_file():
            return {}
        try:
            return {name: _checked_state(row["id"], row["steps"]) for name, row in read_json(path).items()}
        except (TypeError, KeyError, AttributeError, ValueError):
            next_step = "Remove it; the trackers then start new runs."
            raise IntegrityError(f"{path} is damaged.", next_step) from None

    def _write_states(self) -> None:
        write_json(self.folder / SENT_FILE, {name: asdict(state) for name, state in self._states.items()})


def _new_callback(name: str, run_name: str) -> Any:  # noqa: ANN401 - a callback of transformers' Trainer
    """The callback that drives a tracker.

    That of SwanLab comes from its own package: transformers 5 asks SwanLab 0.8 and later in a way that raises an error.
    """
    if name == "swanlab":
        return importlib.import_module("swanlab.integration.transformers").SwanLabCallback(experiment_name=run_name)
    from transformers.integrations import get_reporting_integration_callbacks

    (callback_class,) = get_reporting_integration_callbacks([name])
    return callback_class()


def _checked_state(run_id: str | None, steps: Mapping[str, int]) -> TrackerState:
    """A row of sent.json, which may come from somebody else's run; the id goes into an environment variable.

    Raises:
        ValueError: the id has other characters, or a step is no number.
    """
    if run_id is not None and not RUN_ID.fullmatch(run_id):
        raise ValueError(run_id)
    return TrackerState(run_id, {str(kind): int(step) for kind, step in steps.items()})


def tracker_environment(name: str, folder: Path, project: str, run_id: str | None) -> dict[str, str]:
    """Environment variables that keep a tracker's files in the run's folder and name its project.

    Args:
        name: of the tracker.
        folder: holds one folder per tracker.
        project: the experiment's name, which groups its runs.
        run_id: the tracker's own id of a run to continue.
    """
    own_folder = folder / name
    if name == "tensorboard":
        return {"TENSORBOARD_LOGGING_DIR": str(own_folder)}
    if name == "trackio":  # project and run come from the arguments
        return {"TRACKIO_DIR": str(own_folder)}
    if name == "mlflow":
        return {
            "MLFLOW_TRACKING_URI": f"sqlite:///{own_folder / 'mlflow.db'}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(own_folder / "artifacts"),  # otherwise it creates ./mlruns
            "MLFLOW_EXPERIMENT_NAME": project,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **({"MLFLOW_RUN_ID": run_id} if run_id else {}),
        }
    if name == "swanlab":
        return {
            # Both stay on this machine and need no account; `local` is shown by `swanlab watch`, which is an extra.
            "SWANLAB_MODE": "local" if find_spec("swanboard") else "offline",
            "SWANLAB_LOG_DIR": str(own_folder),
            "SWANLAB_PROJECT_NAME": project,
            "SWANLAB_INTERACTIVE": "false",  # it would ask for an account in the middle of the live view
            "SWANLAB_TERMINAL_PROXY_TYPE": "none",  # the live view shows prompts and answers
            "SWANLAB_PROBE_GIT": "false",  # a remote's address may hold a token
            "SWANLAB_PROBE_RUNTIME": "false",  # so may the command line
            **({"SWANLAB_RUN_ID": run_id, "SWANLAB_RUN_RESUME": "allow"} if run_id else {}),
        }
    return {
        "WANDB_DIR": str(folder),  # it adds `wandb` itself
        "WANDB_CACHE_DIR": str(own_folder / "cache"),
        "WANDB_PROJECT": project,
        "WANDB_CONSOLE": "off",  # the live view shows prompts and answers
        "WANDB_DISABLE_GIT": "true",  # it would send the diff, which may hold prompts
        "WANDB_DISABLE_CODE": "true",
        **({"WANDB_RUN_ID": run_id, "WANDB_RESUME": "allow"} if run_id else {}),
    }


def _run_id(name: str) -> str | None:
    """The id that a tracker gave the run; trackio continues a run by its name, tensorboard by its folder."""
    if name == "wandb":
        return str(importlib.import_module(name).run.id)
    if name == "mlflow":
        return str(importlib.import_module(name).active_run().info.run_id)
    if name == "swanlab":
        return str(importlib.import_module(name).get_run().id)
    return None


def _close_quietly(name: str) -> None:
    """Ends what a callback leaves open, so that the next run in this process gets a tracker of its own."""
    if name == "wandb":
        wandb = importlib.import_module(name)
        wandb.finish()
        wandb.teardown()  # it reads its environment only before its first run
    elif name == "swanlab":
        importlib.import_module(name).finish()
    elif name == "mlflow":
        importlib.import_module(name).flush_async_logging()
    elif name == "trackio":  # it reads its folder only while it is imported
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[module]


def _reason(error: Exception) -> str:
    """The first line of an error's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
