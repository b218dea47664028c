"""The arms of `ppo train --sweep KEY=A,B,C --seeds N`: values checked, arms in order, the sweep's name.

Only one treatment may be swept: with two, no change could be attributed to one of them.

Not here: running the arms (`sweep`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_cli.errors import ConfigError, UsageError
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_base import LARGEST_SEED
from ppo_cli.experiment.schema_index import key_of
from ppo_cli.experiment.values import flatten, format_value, to_dict
from ppo_cli.records.program import command
from ppo_cli.store.checkpoint_names import start_checkpoint

START = "model.start"
OPENING, CLOSING, QUOTES = "[{(", "]})", "\"'"


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One value of the swept key with one seed: an arm of the sweep."""

    value: Any
    loaded: LoadedExperiment

    @property
    def experiment(self) -> Experiment:
        return self.loaded.experiment

    def label(self, key: str | None) -> str:
        """`kl.coef 0.05, seed 1`."""
        seed = f"seed {self.experiment.seed}"
        return seed if key is None else f"{key} {format_value(self.value)}, {seed}"


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """The arms of a sweep in the order in which they run: every value with the first seed, then with the next."""

    name: str
    key: str | None
    """The swept key; None where only the seed differs."""
    arms: tuple[PlannedRun, ...]
    folder: Path
    """Holds the run folders."""
    command: str
    """What was typed, to type again."""


def plan_sweep(
    config: Path,
    overrides: Sequence[str],
    *,
    sweep: Sequence[str] = (),
    seeds: int = 1,
    runs_dir: Path | None = None,
    force: bool = False,
) -> SweepPlan:
    """Plans the arms of a sweep.

    Args:
        config: the experiment's file.
        overrides: changes to it that all arms have.
        sweep: one `key=value,value,…`, or nothing to repeat the experiment with several seeds.
        seeds: how many; the first is the config's.
        runs_dir: folder of run folders, in place of the config's.
        force: as typed, for the command to type again.

    Raises:
        ConfigError: the key may not be swept, or a value cannot be used.
        UsageError: more than one key, or fewer than two arms.
    """
    _require_several_arms(sweep, seeds)
    key, values = _key_and_values(sweep[0]) if sweep else (None, [None])
    if key is not None:
        _require_treatment(key, overrides)
    first_changes = [*overrides, *([f"{key}={values[0]}"] if key else [])]
    folder = runs_dir or Path(load_experiment(config, first_changes).experiment.output)
    overrides = _with_start_checkpoint(config, overrides, first_changes, folder)
    by_value: dict[str, list[PlannedRun]] = {}
    for text in values:
        changes = [*overrides, *([f"{key}={text}"] if key else [])]
        first = load_experiment(config, changes)
        value = _value_of(first.experiment, key) if key else None
        if repr(value) in by_value:
            raise ConfigError(f"--sweep {key}: {text} is given twice.", "Give each value once.")
        by_value[repr(value)] = [_planned_run(value, seed, first) for seed in _seeds(first.experiment, seeds)]
    if key and len(by_value) < 2:
        raise UsageError(f"--sweep {sweep[0]} names one value.", "Name two or more, or leave --sweep out.")
    arms = tuple(arm for same_seed in zip(*by_value.values(), strict=True) for arm in same_seed)
    options: list[tuple[str, object]] = [
        ("--sweep", sweep[0] if sweep else None),
        ("--seeds", seeds if seeds > 1 else None),
        ("--runs-dir", runs_dir),
    ]
    given = [word for name, value in options if value is not None for word in (name, value)]
    return SweepPlan(
        name=_name(key, arms),
        key=key,
        arms=arms,
        folder=folder,
        command=command("train", config, *overrides, *given, *(["--force"] if force else [])),
    )


def _with_start_checkpoint(
    config: Path, overrides: Sequence[str], first_changes: Sequence[str], folder: Path
) -> Sequence[str]:
    """The changes with the path of a start model that is named as a checkpoint of a run.

    All arms, and those that the same command runs later, start from it, whichever run is the latest then.
    """
    given = load_experiment(config, first_changes).experiment.model.start
    start = start_checkpoint(given, folder)
    if start == given:
        return overrides
    return [*(word for word in overrides if word.partition("=")[0].strip() != START), f"{START}={start}"]


def _require_several_arms(sweep: Sequence[str], seeds: int) -> None:
    if len(sweep) > 1:
        raise UsageError(
            f"Confounded: {len(sweep)} keys would be swept at once ({', '.join(sweep)}).",
            "Sweep one key, then start from the best value and sweep the next.",
        )
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: an experiment needs at least one seed.", "Give 1 or more.")
    if not sweep and seeds == 1:
        raise UsageError("--seeds 1 alone is an ordinary run.", "Leave it out, or add --sweep kl.coef=0.05,0.2.")


def _require_treatment(key: str, overrides: Sequence[str]) -> None:
    if any(override.partition("=")[0].strip() == key for override in overrides):
        raise ConfigError(f"{key} is given and swept too.", f"Leave {key}=… out.")
    if key == "seed":
        raise ConfigError("--sweep seed: the seed is not a treatment.", "Repeat every value with --seeds N.")
    known = key_of(key)
    match known.role if known else None:  # where it is no key, the loader's message names what is wrong with it
        case "frozen":
            raise ConfigError(
                f"--sweep {key}: it is frozen, so runs that differ in it answer different questions.",
                "Sweep a treatment, such as kl.coef, or train one run with the other value.",
            )
        case "free":
            raise ConfigError(
                f"--sweep {key}: it changes no number, so all arms would be the same.", "Sweep a treatment."
            )


def _seeds(experiment: Experiment, count: int) -> range:
    last = experiment.seed + count - 1
    if last > LARGEST_SEED:
        raise UsageError(f"--seeds {count}: {last} is no seed, for the largest is {LARGEST_SEED}.", "Give fewer.")
    return range(experiment.seed, last + 1)


def _key_and_values(option: str) -> tuple[str, list[str]]:
    key, sign, values = option.partition("=")
    texts = [value.strip() for value in _split(values)]
    if not sign or not key.strip() or not all(texts):
        raise UsageError(f"--sweep {option}: is not of the form NAME=VALUE,VALUE.", "Example: --sweep kl.coef=0.05,0.2")
    return key.strip(), texts


def _split(values: str) -> Iterator[str]:
    """The parts between commas that are not within brackets or quotes."""
    depth, quote, start = 0, "", 0
    for index, character in enumerate(values):
        if quote:
            quote = "" if character == quote else quote
        elif character in QUOTES:
            quote = character
        elif character in OPENING + CLOSING:
            depth += 1 if character in OPENING else -1
        elif character == "," and depth <= 0:
            yield values[start:index]
            start = index + 1
    yield values[start:]


def _value_of(experiment: Experiment, key: str) -> Any:  # noqa: ANN401 - of any key
    values = flatten(to_dict(experiment))
    if key not in values:
        raise ConfigError(f"--sweep {key}: is a group of keys, not a value.", "Name one key inside it.")
    return values[key]


def _planned_run(value: object, seed: int, first: LoadedExperiment) -> PlannedRun:
    """The run of a value with this seed; `first` is that of the value with the first seed."""
    same = seed == first.experiment.seed
    loaded = first if same else load_experiment(first.source, [*first.overrides, f"seed={seed}"])
    return PlannedRun(value=value, loaded=loaded)


def _name(key: str | None, arms: Sequence[PlannedRun]) -> str:
    """The same for the same arms on the same prompts."""
    digests = [
        {
            path: _content(value) if known is not None and known.is_file else value
            for path, value in flatten(to_dict(arm.experiment)).items()
            if (known := key_of(path)) is None or known.role != "free"
        }
        for arm in arms
    ]
    return f"{arms[0].experiment.name}-{key or 'seed'}-{sha256_of(digests)[:6]}"


def _content(value: str | None) -> str | None:
    path = Path(value) if value else None
    return sha256_file(path) if path and path.is_file() else None
