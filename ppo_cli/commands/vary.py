"""`ppo train --vary KEY=A,B,C --seeds N`: one experiment in several arms, one after another.

An arm is an ordinary run. Its folder's name follows from what is frozen, so the folder itself says whether an arm is
still to do, begun or done, and the same command typed again goes on where it stopped. sweeps/NAME.json beside the
run folders keeps the set for readers; nothing is decided by it.

Not here: carrying out a run (`train`), how it is shown (`report.dose`).
"""

from __future__ import annotations

import gc
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ppo_cli.commands.dry_run import estimate_cost
from ppo_cli.commands.ground import frozen, read_inputs, refuse_missing_trackers, stand_on
from ppo_cli.commands.runs import last_evaluation
from ppo_cli.commands.train import name_of_run, refuse_leaks, resume, train
from ppo_cli.errors import ConfigError, GateError, IntegrityError, Interrupted, PpoError, UsageError
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.experiment.keys import flatten, generalise, moves_of, schema_keys
from ppo_cli.experiment.load import Loaded, as_tree, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records import ArmLine, Event, Notice, RunStarted, VaryOutcome, Watcher, nobody
from ppo_cli.rewards.graded import graded
from ppo_cli.store.evaluations import SUMMARY, is_complete
from ppo_cli.store.files import disk_errors, read_json, write_json
from ppo_cli.store.runs import Run

SWEEPS = "sweeps"
DONE = ("finished", "stopped")
GUARDS = ("refusal.safe", "ending.eos", "form.empty", "form.repetition")
"""What a policy that only games its reward tends to lose; shown beside every dose."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One value and one seed."""

    value: Any
    loaded: Loaded

    @property
    def experiment(self) -> Experiment:
        return self.loaded.experiment

    def label(self, key: str | None) -> str:
        """`kl.coef 0.05, seed 1`."""
        seed = f"seed {self.experiment.seed}"
        return seed if key is None else f"{key} {_typed(self.value)}, {seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The arms in the order in which they run: every value with the first seed, then with the next."""

    name: str
    key: str | None
    arms: tuple[Arm, ...]
    command: str
    """What was typed, to type again."""


def plan(
    config: Path,
    overrides: Sequence[str],
    *,
    vary: Sequence[str] = (),
    seeds: int = 1,
    output: Path | None = None,
) -> Plan:
    """Works out the arms.

    Args:
        config: the experiment's file.
        overrides: changes to it that all arms have.
        vary: one `key=value,value,…`, or nothing for the seed alone.
        seeds: how many; the first is the config's.
        output: as typed, for the command to type again.

    Raises:
        ConfigError: the key may not be varied, or a value cannot be used.
        UsageError: more than one key, or no arms to compare.
    """
    if len(vary) > 1:
        raise UsageError(
            f"Confounded: {len(vary)} keys would be varied at once ({', '.join(vary)}).",
            "Vary one key, then start from the best value and vary the next.",
        )
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: an experiment needs at least one seed.", "Give 1 or more.")
    if not vary and seeds == 1:
        raise UsageError("--seeds 1 alone is an ordinary run.", "Leave it out, or add --vary kl.coef=0.05,0.2.")
    key, values = _key_and_values(vary[0]) if vary else (None, [None])
    if key is not None:
        _refuse_what_may_not_vary(key, overrides)
    made: dict[Any, list[Arm]] = {}
    for typed in values:
        words = [*overrides, *([f"{key}={typed}"] if key else [])]
        first = load_experiment(config, words)
        value = _value_of(first.experiment, key) if key else None
        if value in made:
            raise ConfigError(f"--vary {key}: {typed} is there twice.", "Give each value once.")
        numbers = range(first.experiment.seed, first.experiment.seed + seeds)
        made[value] = [_arm(config, words, value, seed, first) for seed in numbers]
    if key and len(made) < 2:
        raise UsageError(f"--vary {vary[0]} names one value.", "Name two or more, or leave --vary out.")
    arms = tuple(arm for same_seed in zip(*made.values(), strict=True) for arm in same_seed)
    command = _command(config, overrides, vary, seeds, output)
    return Plan(name=_name(key, arms), key=key, arms=arms, command=command)


def vary(planned: Plan, *, output: Path | None = None, force: bool = False, watcher: Watcher = nobody) -> VaryOutcome:
    """Carries out the arms that are not done yet, and puts all of them side by side.

    Args:
        planned: the arms.
        output: folder of run folders, in place of the config's.
        force: train although the evaluation set overlaps what the policy learns from.
        watcher: told of everything that happens.

    Raises:
        UsageError: something that would stop every arm.
        GateError: the evaluation set leaks; any other gate stops only its arm.
        Interrupted: stopped by the user; the same command goes on.
    """
    first = planned.arms[0].experiment
    folder = output or Path(first.output)
    inputs, *_ = [read_inputs(arm.experiment) for arm in planned.arms]  # a value that no run can use is told at once
    refuse_leaks(inputs, force, watcher)
    refuse_missing_trackers(first)
    roots = _folders(planned, folder, watcher)
    waiting = sum(_status(root) not in DONE for root in roots)
    pace = _Pace(waiting=waiting, guess=estimate_cost(inputs).seconds if waiting else None)
    lines: list[ArmLine] = []
    file = _write(planned, folder, lines)
    for arm, root in zip(planned.arms, roots, strict=True):
        with _interruptible(planned, arm, len(lines)):
            place = f"arm {len(lines) + 1} of {len(roots)}"
            lines.append(_carry_out(arm, root, place, planned.key, pace, force, watcher))
        _write(planned, folder, lines)
        gc.collect()  # the policy of this arm must be gone before the next one is made
    return VaryOutcome(
        name=planned.name,
        goal=first.goal,
        file=str(file),
        key=planned.key,
        primary=first.evaluation.primary,
        guards=tuple(name for name in GUARDS if name != first.evaluation.primary),
        before=_before(folder, lines),
        arms=tuple(lines),
        command=planned.command,
        graded=graded(first.reward.terms),
    )


@dataclass
class _Pace:
    """How long the arms take."""

    waiting: int
    """Arms that are not done, the one at work included."""
    guess: float | None
    """Seconds of one arm, until one is done."""
    seconds: list[float] = field(default_factory=list)
    """Of each arm that was carried out here."""

    def after(self) -> float | None:
        """What the arms after the one at work will take."""
        each = sum(self.seconds) / len(self.seconds) if self.seconds else self.guess
        return None if each is None else each * (self.waiting - 1)


def _folders(planned: Plan, folder: Path, watcher: Watcher) -> list[Path]:
    """The run folder of each arm, made or not; no treatment moves the model or the prompts that the arms stand on."""
    ground = stand_on(read_inputs(planned.arms[0].experiment), watcher)
    revision = ground.experiment.model.revision
    roots = []
    for arm in planned.arms:
        pinned = replace(arm.experiment, model=replace(arm.experiment.model, revision=revision))
        experiment, lock, _ = frozen(replace(ground, inputs=replace(ground.inputs, experiment=pinned)))
        roots.append(folder / name_of_run(experiment, lock))
    return roots


def _status(root: Path) -> str:
    try:
        return Run(root).state().status if (root / "run.json").is_file() else "waiting"
    except IntegrityError:
        return "damaged"


def _carry_out(
    arm: Arm, root: Path, place: str, key: str | None, pace: _Pace, force: bool, watcher: Watcher
) -> ArmLine:
    """Does whatever is left of an arm; a gate that stops it stops no other."""
    where = f"{place.capitalize()}: {arm.label(key)}"
    status, begun = _status(root), time.monotonic()
    announcing = _announcing(watcher, place, pace)
    try:
        if status in DONE:
            Run(root).verify()
            watcher(Notice(text=f"{where}, done before in {root.name}."))
            return _line(arm, root)
        if status == "waiting":
            watcher(Notice(text=f"{where}."))
            train(arm.loaded, output=root.parent, force=force, watcher=announcing)
        else:
            watcher(Notice(text=f"{where}, goes on where it stopped."))
            resume(str(root), output=root.parent, watcher=announcing)
        pace.seconds.append(time.monotonic() - begun)
        return _line(arm, root)
    except (GateError, IntegrityError) as error:
        watcher(Notice(text=f"{where} failed: {error.message}", level="warning"))
        return _line(arm, root, error)
    finally:
        pace.waiting -= status not in DONE


def _announcing(watcher: Watcher, place: str, pace: _Pace) -> Watcher:
    """Says with the start of a run which arm it is."""

    def told(event: Event) -> None:
        if isinstance(event, RunStarted):
            event = replace(event, arm=place, seconds_after=pace.after())
        watcher(event)

    return told


@contextmanager
def _interruptible(planned: Plan, arm: Arm, done: int) -> Iterator[None]:
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted(
            f"Interrupted in arm {done + 1} of {len(planned.arms)} ({arm.label(planned.key)}); {done} are done and "
            "nothing is lost.",
            f"Continue with the same command: {planned.command}",
        ) from None


def _line(arm: Arm, root: Path, error: PpoError | None = None) -> ArmLine:
    return ArmLine(
        value=arm.value,
        seed=arm.experiment.seed,
        run=root.name if root.is_dir() else "",
        status="failed" if error else Run(root).state().status,
        problem=error.message if error else None,
        exit_code=error.exit_code if error else 0,
        measures={} if error else last_evaluation(Run(root))[1].get("measures", {}),
    )


def _before(folder: Path, lines: Sequence[ArmLine]) -> Mapping[str, Any]:
    """Step 0 is the same policy answering the same prompts in every arm, so the first that has it speaks for all."""
    for line in lines:
        start = Run(folder / line.run).layout.evaluation(0) if line.run and not line.problem else None
        if start is not None and is_complete(start):
            return dict(read_json(start / SUMMARY).get("measures", {}))
    return {}


def _write(planned: Plan, folder: Path, lines: Sequence[ArmLine]) -> Path:
    """Keeps the whole set, with what is known of each arm."""
    path = folder / SWEEPS / f"{planned.name}.json"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    known = [{name: value for name, value in asdict(line).items() if name != "measures"} for line in lines]
    waiting = [
        {"value": arm.value, "seed": arm.experiment.seed, "run": "", "status": "waiting"}
        for arm in planned.arms[len(lines) :]
    ]
    write_json(path, {"name": planned.name, "key": planned.key, "command": planned.command, "arms": known + waiting})
    return path


def _key_and_values(word: str) -> tuple[str, list[str]]:
    key, sign, values = word.partition("=")
    names = [value.strip() for value in values.split(",")]
    if not sign or not key.strip() or not all(names):
        raise UsageError(f"--vary {word}: is not of the form KEY=VALUE,VALUE.", "Example: --vary kl.coef=0.05,0.2")
    return key.strip(), names


def _value_of(experiment: Experiment, key: str) -> Any:  # noqa: ANN401 - of any key
    values = flatten(as_tree(experiment))
    if key not in values:
        raise ConfigError(f"--vary {key}: is a group of keys, not a value.", "Name one key inside it.")
    return values[key]


def _refuse_what_may_not_vary(key: str, overrides: Sequence[str]) -> None:
    if any(word.partition("=")[0].strip() == key for word in overrides):
        raise ConfigError(f"{key} is given and varied too.", f"Leave {key}=… out.")
    if key == "seed":
        raise ConfigError("--vary seed: the seed is not a treatment.", "Repeat every arm with --seeds N.")
    if generalise(key) not in schema_keys():
        return  # what it is instead, the loader says
    match moves_of(key):
        case "frozen":
            raise ConfigError(
                f"--vary {key}: it is frozen, so runs that differ in it answer different questions.",
                "Vary a treatment, such as kl.coef, or train one run with the other value.",
            )
        case "free":
            raise ConfigError(f"--vary {key}: it moves no number, so all arms would be the same.", "Vary a treatment.")


def _arm(config: Path, words: Sequence[str], value: object, seed: int, first: Loaded) -> Arm:
    loaded = first if seed == first.experiment.seed else load_experiment(config, [*words, f"seed={seed}"])
    return Arm(value=value, loaded=loaded)


def _name(key: str | None, arms: Sequence[Arm]) -> str:
    """The same for the same arms on the same prompts."""
    digests = [
        {
            path: _content(value) if _is_path(path) else value
            for path, value in flatten(as_tree(arm.experiment)).items()
            if generalise(path) not in schema_keys() or moves_of(path) != "free"
        }
        for arm in arms
    ]
    return f"{arms[0].experiment.name}-{key or 'seed'}-{sha256_of(digests)[:6]}"


def _is_path(path: str) -> bool:
    known = schema_keys().get(generalise(path))
    return known is not None and known.is_path


def _content(value: str | None) -> str | None:
    path = Path(value) if value else None
    return sha256_file(path) if path and path.is_file() else None


def _command(config: Path, overrides: Sequence[str], vary: Sequence[str], seeds: int, output: Path | None) -> str:
    options: list[tuple[str, object]] = [
        ("--vary", vary[0] if vary else None),
        ("--seeds", seeds if seeds > 1 else None),
    ]
    options.append(("--output", output))
    typed = [str(word) for name, value in options if value is not None for word in (name, value)]
    return shlex.join(["ppo", "train", str(config), *overrides, *typed])


def _typed(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
