"""`ppo runs`: the runs in a folder, how each ended, and which keys differ between them.

Reads only small files and never imports torch. Not here: drawing the tree of runs (`reports.run_tree`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.behaviours.measures.own import declared_measure
from ppo_cli.errors import PpoError, UsageError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_index import key_of, schema_keys, wildcard_path
from ppo_cli.experiment.values import flatten, to_dict
from ppo_cli.records.results import RunRow
from ppo_cli.records.training import RunState
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.store.evaluations import SUMMARY, EvaluatedPolicy, read_measured, require_evaluation_of
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, list_runs

STARTED = "started"
UNREADABLE = (PpoError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What the reading of a run may raise, whatever its files hold."""
INPUT_GROUPS = {"model.warm_start": "warm_start", "prompts.train": "train_set", "prompts.eval": "eval_set"}
"""The lock group with the rows of the file that a config key names."""


def run_rows(runs_dir: str | Path = "runs", *, sort: str = STARTED, diff: bool = False) -> list[RunRow]:
    """Every run in a folder; one that cannot be read is listed with the reason.

    Args:
        runs_dir: folder of run folders.
        sort: `started`, a measure (the better first) or a key (the smaller first); runs without a value come last.
        diff: list of each config only the keys that are not the same in all runs.

    Raises:
        UsageError: there is no such key or measure.
    """
    rows = [run_row(run) for run in list_runs(Path(runs_dir))]
    _refuse_unknown(sort)  # a measure of a config is known once that has been read
    if sort != STARTED:
        rows.sort(key=lambda row: _sort_key(row, sort))
    if diff:
        paths = differing_keys(rows)
        rows = [replace(row, config={path: row.config[path] for path in paths if path in row.config}) for row in rows]
    return rows


def differing_keys(rows: Sequence[RunRow]) -> list[str]:
    """The keys that can change a result and are not the same in all runs, in the order of the schema."""
    order = {path: index for index, path in enumerate(schema_keys())}
    readable = [row.config for row in rows if row.config]
    paths = {path for config in readable for path in config}
    differing = [
        path
        for path in paths
        if len({repr(config.get(path)) for config in readable}) > 1
        and ((key := key_of(path)) is None or key.role != "free")
    ]
    return sorted(differing, key=lambda path: (order.get(wildcard_path(path), len(order)), path))


def _refuse_unknown(sort: str) -> None:
    measures = {measure.name for measure in MEASURES}
    if sort == STARTED or sort in measures or key_of(sort) is not None or declared_measure(sort) is not None:
        return
    close = difflib.get_close_matches(sort, [STARTED, *measures, *schema_keys()], n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UsageError(
        f"--sort {sort}: no such key or measure.{hint}", "Example: --sort started, --sort kl.coef, --sort ending.eos"
    )


def _sort_key(row: RunRow, sort: str) -> tuple[bool, float, str]:
    """Sorts numbers first, then texts, then missing values."""
    measure = next((measure for measure in MEASURES if measure.name == sort), None) or declared_measure(sort)
    value = (row.measures.get(sort) or {}).get("value") if measure is not None else row.config.get(sort)
    if isinstance(value, int | float):
        return False, -value if measure is not None and measure.better == "higher" else value, ""
    return value is None, math.inf, str(value)


def run_row(run: Run) -> RunRow:
    """A run; one that cannot be read, whatever its files hold, is listed with the reason."""
    try:
        return _readable_row(run)
    except UNREADABLE as error:
        problem = reason_unread(error)
    unread = RunState(id=run.name, status="failed", started="")
    return RunRow(state=unread, updates=0, primary="", measures={}, step=None, config={}, problem=problem)


def reason_unread(error: Exception) -> str:
    """Why a run could not be read, in words."""
    return error.message if isinstance(error, PpoError) else f"a record is damaged ({type(error).__name__})."


def _readable_row(run: Run) -> RunRow:
    state = run.state()
    experiment = run.experiment()
    step, summary = last_evaluation(run)
    return RunRow(
        state=state,
        updates=experiment.ppo.updates,
        primary=experiment.evaluation.primary,
        measures={name: dict(measured) for name, measured in summary.get("measures", {}).items()},
        step=step,
        config=settings_of(run, experiment),
        rewarded_measures=measures_also_rewarded(experiment),
        round=experiment.round,
    )


def settings_of(run: Run, experiment: Experiment) -> dict[str, Any]:
    """The config's values; for a key that names a file a digest of its rows, since every run has its own copy."""
    groups = run.lock().groups
    rows = {
        key: f"{groups[group].values['rows']} rows {groups[group].values['rows_sha256'][:6]}"
        for key, group in INPUT_GROUPS.items()
        if group in groups
    }
    return {**flatten(to_dict(experiment)), **rows}


def last_evaluation(run: Run) -> tuple[int | None, dict[str, Any]]:
    """Step and summary of a run's last evaluation on the whole set; None and {} where it has none.

    Raises:
        IntegrityError: a summary was edited, or is of another run or step.
    """
    folder = run.layout.evaluations
    whole: list[tuple[int, dict[str, Any]]] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        step = step_of(path)
        if step is not None and (path / SUMMARY).is_file():
            summary = read_measured(path)
            require_evaluation_of(summary, EvaluatedPolicy(lock=run.lock().fingerprint, step=step), path)
            if not summary.get("partial"):
                whole.append((step, summary))
    return whole[-1] if whole else (None, {})
