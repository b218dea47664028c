"""Which arms `ppo train --vary KEY=A,B,C --seeds N` has: the values checked, the order, the name of the set.

Only a treatment may be varied, and only one: with two, no change could be put down to either.

Not here: carrying them out (`vary`).
"""

from __future__ import annotations

import shlex
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

OPENING, CLOSING, QUOTES = "[{(", "]})", "\"'"


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One value and one seed."""

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
    """The arms in the order in which they run: every value with the first seed, then with the next."""

    name: str
    key: str | None
    arms: tuple[PlannedRun, ...]
    folder: Path
    """That holds the run folders."""
    command: str
    """What was typed, to type again."""


def plan_sweep(
    config: Path,
    overrides: Sequence[str],
    *,
    vary: Sequence[str] = (),
    seeds: int = 1,
    output: Path | None = None,
    force: bool = False,
) -> SweepPlan:
    """Works out the arms.

    Args:
        config: the experiment's file.
        overrides: changes to it that all arms have.
        vary: one `key=value,value,…`, or nothing for the seed alone.
        seeds: how many; the first is the config's.
        output: folder of run folders, in place of the config's.
        force: as typed, for the command to type again.

    Raises:
        ConfigError: the key may not be varied, or a value cannot be used.
        UsageError: more than one key, or no arms to hold side by side.
    """
    _require_several_runs(vary, seeds)
    key, values = _key_and_values(vary[0]) if vary else (None, [None])
    if key is not None:
        _require_treatment(key, overrides)
    made: dict[str, list[PlannedRun]] = {}
    for chosen in values:
        words = [*overrides, *([f"{key}={chosen}"] if key else [])]
        first = load_experiment(config, words)
        value = _value_of(first.experiment, key) if key else None
        if repr(value) in made:
            raise ConfigError(f"--vary {key}: {chosen} is there twice.", "Give each value once.")
        made[repr(value)] = [_arm(config, words, value, seed, first) for seed in _seeds(first.experiment, seeds)]
    if key and len(made) < 2:
        raise UsageError(f"--vary {vary[0]} names one value.", "Name two or more, or leave --vary out.")
    arms = tuple(arm for same_seed in zip(*made.values(), strict=True) for arm in same_seed)
    return SweepPlan(
        name=_name(key, arms),
        key=key,
        arms=arms,
        folder=output or Path(arms[0].experiment.output),
        command=_command(config, overrides, vary, seeds, output, force),
    )


def _require_several_runs(vary: Sequence[str], seeds: int) -> None:
    if len(vary) > 1:
        raise UsageError(
            f"Confounded: {len(vary)} keys would be varied at once ({', '.join(vary)}).",
            "Vary one key, then start from the best value and vary the next.",
        )
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: an experiment needs at least one seed.", "Give 1 or more.")
    if not vary and seeds == 1:
        raise UsageError("--seeds 1 alone is an ordinary run.", "Leave it out, or add --vary kl.coef=0.05,0.2.")


def _require_treatment(key: str, overrides: Sequence[str]) -> None:
    if any(word.partition("=")[0].strip() == key for word in overrides):
        raise ConfigError(f"{key} is given and varied too.", f"Leave {key}=… out.")
    if key == "seed":
        raise ConfigError("--vary seed: the seed is not a treatment.", "Repeat every arm with --seeds N.")
    known = key_of(key)
    match known.role if known else None:  # what it is instead of a key, the loader says
        case "frozen":
            raise ConfigError(
                f"--vary {key}: it is frozen, so runs that differ in it answer different questions.",
                "Vary a treatment, such as kl.coef, or train one run with the other value.",
            )
        case "free":
            raise ConfigError(f"--vary {key}: it moves no number, so all arms would be the same.", "Vary a treatment.")


def _seeds(experiment: Experiment, count: int) -> range:
    last = experiment.seed + count - 1
    if last > LARGEST_SEED:
        raise UsageError(f"--seeds {count}: {last} is no seed, for the largest is {LARGEST_SEED}.", "Give fewer.")
    return range(experiment.seed, last + 1)


def _key_and_values(word: str) -> tuple[str, list[str]]:
    key, sign, values = word.partition("=")
    names = [value.strip() for value in _split(values)]
    if not sign or not key.strip() or not all(names):
        raise UsageError(f"--vary {word}: is not of the form KEY=VALUE,VALUE.", "Example: --vary kl.coef=0.05,0.2")
    return key.strip(), names


def _split(values: str) -> Iterator[str]:
    """The parts between commas, those within brackets or quotes apart."""
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(values):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in QUOTES:
            quote = letter
        elif letter in OPENING + CLOSING:
            depth += 1 if letter in OPENING else -1
        elif letter == "," and depth <= 0:
            yield values[start:place]
            start = place + 1
    yield values[start:]


def _value_of(experiment: Experiment, key: str) -> Any:  # noqa: ANN401 - of any key
    values = flatten(to_dict(experiment))
    if key not in values:
        raise ConfigError(f"--vary {key}: is a group of keys, not a value.", "Name one key inside it.")
    return values[key]


def _arm(config: Path, words: Sequence[str], value: object, seed: int, first: LoadedExperiment) -> PlannedRun:
    loaded = first if seed == first.experiment.seed else load_experiment(config, [*words, f"seed={seed}"])
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


def _command(
    config: Path, overrides: Sequence[str], vary: Sequence[str], seeds: int, output: Path | None, force: bool
) -> str:
    options: list[tuple[str, object]] = [
        ("--vary", vary[0] if vary else None),
        ("--seeds", seeds if seeds > 1 else None),
        ("--output", output),
    ]
    given = [str(word) for name, value in options if value is not None for word in (name, value)]
    return shlex.join(["ppo", "train", str(config), *overrides, *given, *(["--force"] if force else [])])
