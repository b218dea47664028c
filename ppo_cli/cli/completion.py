"""What a shell proposes for an argument: runs, checkpoints of runs, config files, recipes.

It looks at names on the disk and reads no run, so that a proposal comes at once.

Not here: how a shell asks (Typer), what a name means (`store.checkpoint_names`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

from ppo_cli.store.layout import RunLayout, step_of

LATEST = "latest"
YAML = (".yaml", ".yml")
MAX_FOLDERS = 200
"""Folders that are looked into for configs."""


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """The runs in the folder of runs, or, once a path is begun, those in that folder."""
    folder, prefix = _folder_and_prefix(ctx, incomplete)
    names = [f"{prefix}{name}" for name in _runs_in(folder)]
    return _beginning_with(incomplete, [*names, *([LATEST] if names and not prefix else [])])


def complete_checkpoint(ctx: typer.Context, incomplete: str) -> list[str]:
    """The runs with their best and last checkpoints; behind `RUN/` every step of that run too."""
    folder, prefix = _folder_and_prefix(ctx, incomplete)
    of_run = Path(prefix) if prefix and _is_run(Path(prefix)) else _runs_dir(ctx) / prefix if prefix else None
    if of_run is not None and _is_run(of_run):
        return _beginning_with(incomplete, [f"{prefix}{name}" for name in _checkpoints(of_run, steps=True)])
    names = []
    for name in _runs_in(folder):
        checkpoints = _checkpoints(folder / name, steps=False)
        names += [f"{prefix}{name}", *(f"{prefix}{name}/{checkpoint}" for checkpoint in checkpoints)]
    return _beginning_with(incomplete, names)


def complete_config(incomplete: str) -> list[str]:
    """Config files in the folder that is begun, and in the folders below it; none leaves the choice to the shell."""
    folder = Path(incomplete.rpartition("/")[0] or ("/" if incomplete.startswith("/") else "."))
    prefix = incomplete[: incomplete.rfind("/") + 1]
    start = incomplete.rpartition("/")[2]
    found = []
    for path in _listed(folder):
        if not path.name.startswith(start) or (path.name.startswith(".") and not start):
            continue
        if path.suffix in YAML:
            found.append(f"{prefix}{path.name}")
        elif path.is_dir() and len(found) < MAX_FOLDERS:
            found += [f"{prefix}{path.name}/{inner.name}" for inner in _listed(path) if inner.suffix in YAML]
    return found


def complete_recipe(incomplete: str) -> list[str]:
    """The recipes that are shipped."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    folder = inside if inside.is_dir() else package.parent / "configs"
    return _beginning_with(incomplete, [path.stem for path in _listed(folder) if path.suffix == ".yaml"])


def _folder_and_prefix(ctx: typer.Context, incomplete: str) -> tuple[Path, str]:
    """The folder that holds the runs meant, and what is typed before their names."""
    prefix = incomplete[: incomplete.rfind("/") + 1]
    return (Path(prefix) if prefix else _runs_dir(ctx)), prefix


def _runs_dir(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("runs_dir") or "runs")


def _runs_in(folder: Path) -> list[str]:
    return [path.name for path in _listed(folder) if _is_run(path)]


def _is_run(folder: Path) -> bool:
    return RunLayout(folder).state.is_file()


def _checkpoints(run: Path, *, steps: bool) -> list[str]:
    """The names of a run's checkpoints: best and last where there are any, and, if wanted, each step."""
    layout = RunLayout(run)
    updates = [step for path in _listed(layout.checkpoints) if (step := step_of(path)) is not None]
    best = None
    with suppress(OSError, ValueError, AttributeError):
        best = json.loads(layout.state.read_text(encoding="utf-8")).get("best_step")
    names = [*(["best"] if best is not None else []), *(["last"] if updates else [])]
    return [*names, *(f"step-{step}" for step in sorted(updates))] if steps else names


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _beginning_with(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
