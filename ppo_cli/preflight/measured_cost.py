"""What the run will take, from pieces that are carried out and timed: an update, some evaluation, a checkpoint.

Not here: the guess without a model (`models.cost`).
"""

from __future__ import annotations

import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ppo_cli.preflight.check_lines import condition_check
from ppo_cli.preflight.planned_cost import planned_work
from ppo_cli.preflight.start_samples import StartModelSamples
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Check
from ppo_cli.records.events import EventHandler, Phase
from ppo_cli.records.results import Cost

if TYPE_CHECKING:
    from ppo_cli.engine.policy import Policy
    from ppo_cli.setup.resolve import ResolvedExperiment
    from ppo_cli.setup.start_model import StartModel

ROWS = 256
"""Answers of the evaluation that is timed: as many as are decoded side by side."""
SETTING_UP = 8.0
"""Seconds to start Python and load the libraries."""
STATISTICS = 3.0
"""Seconds of rules and intervals after an evaluation of a few hundred prompts."""
DISK_SPEED = 3e8
"""Bytes a second at which weights are read."""
MAX_BYTES_WRITTEN = 4e9
"""Bytes of weights that the check writes to time it; more are reckoned by DISK_SPEED."""
GROWTH, GROWTH_UPDATES = 0.6, 5
"""On CPUs the allocator keeps fragments: after so many updates a run's peak lies so much above the check's, and less
before. Three runs of the built-in model: 2.9 GB after 2 updates, 3.2 after 4, 3.2 after 18; the check takes 2.0."""
PROCESS = Path("/proc/self")
"""What Linux tells a process of itself."""
MAX_MEMORY_SHARE = 0.9
"""Share of the machine's memory that a run may take."""


def measured_cost(
    resolved: ResolvedExperiment, start: StartModel, policy: Policy, tried: StartModelSamples, on_event: EventHandler
) -> Cost:
    """Carries out most of an update, part of an evaluation and a checkpoint; afterwards the policy has moved."""
    work, experiment = planned_work(resolved.inputs), resolved.experiment
    _forget_peak()
    on_event(Phase(name="timing an evaluation"))
    prompts = stratified_subset(resolved.inputs.evaluation, max(4, ROWS // experiment.evaluation.samples_per_prompt))
    evaluating = _timed(lambda: _evaluate(resolved, policy, prompts, on_event)) / len(prompts)
    on_event(Phase(name="timing an update"))
    updating = _one_update(resolved, start, policy, tried, on_event)
    hashing = _timed(policy.reference_digest)
    weights = sum(file.stat().st_size for file in start.folder.glob("*.safetensors"))
    saving = _timed(lambda: _save(policy, start)) if weights < MAX_BYTES_WRITTEN else 2 * weights / DISK_SPEED
    looks = work.whole_evaluations + work.interim_evaluations
    saves = work.updates // experiment.checkpoints.every + work.interim_evaluations + 1
    parts = {
        "setting up": SETTING_UP + 2 * hashing + weights / DISK_SPEED,
        "the reference's answers": work.baseline_answers * tried.seconds / tried.answers,
        "updates": work.updates * updating,
        "evaluations": evaluating
        * (work.whole_evaluations * work.eval_prompts + work.interim_evaluations * work.interim_prompts)
        + looks * STATISTICS,
        "checkpoints": saves * saving,
    }
    return Cost(
        episodes=work.updates * work.episodes,
        seconds=sum(parts.values()),
        memory_gb=_peak_memory(start) * _growth(work.updates, start) / 1e9,
        disk_gb=weights * work.checkpoints_kept / 1e9 + 0.02,
        device=start.device.type,
        gflops=None,
        parts=parts,
    )


def cost_checks(cost: Cost, output: Path) -> list[Check]:
    """Whether the run fits this machine."""
    from ppo_cli.report.formatting import duration

    memory, disk, seconds = cost.memory_gb or 0.0, cost.disk_gb or 0.0, cost.seconds or 0.0
    has = _memory_of(cost.device) / 1e9
    place = next(folder for folder in [output, *output.absolute().parents] if folder.is_dir())
    free = shutil.disk_usage(place).free / 1e9
    longest = max(cost.parts, key=lambda name: cost.parts[name])
    return [
        condition_check(
            "time",
            True,
            f"about {duration(seconds)}",
            "any",
            f"of it {cost.parts[longest] / seconds:.0%} for {longest}; reckoned from pieces that were timed",
            "",
        ),
        condition_check(
            "memory",
            memory < MAX_MEMORY_SHARE * has,
            f"{memory:.1f} GB at its peak",
            f"below {MAX_MEMORY_SHARE:.0%} of {has:.1f} GB",
            "a process that is killed for memory loses the update it was at",
            "Lower ppo.episodes_per_update or model.train.top_layers.",
            otherwise="warn",
        ),
        condition_check(
            "disk",
            disk < free,
            f"{disk:.1f} GB",
            f"below the {free:.0f} GB that are free",
            "a full disk ends the run",
            "Lower checkpoints.keep, or give another --output.",
        ),
    ]


def _evaluate(resolved: ResolvedExperiment, policy: Policy, prompts: Sequence[Prompt], on_event: EventHandler) -> None:
    from ppo_cli.evaluation.evaluate import sample_answers

    sample_answers(
        policy.merged_model, policy.reference_model, resolved.tokenizer, prompts, resolved.experiment, on_event
    )


def _one_update(
    resolved: ResolvedExperiment, start: StartModel, policy: Policy, tried: StartModelSamples, on_event: EventHandler
) -> float:
    """Seconds of one update: sampling, scoring and estimating carried out once, and one of its optimizer steps."""
    from ppo_cli.engine.experience import RunningMeans
    from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs

    experiment = resolved.experiment
    known = dict(zip((prompt.id for prompt in tried.trial.prompts), tried.trial.answers, strict=True))
    stand_in = tried.trial.answers[0]
    others = {prompt.id: list(known.get(prompt.id, stand_in)) for prompt in resolved.inputs.train}
    with tempfile.TemporaryDirectory() as folder:
        trainer = PolicyTrainer(
            experiment,
            TrainerInputs(
                policy=policy,
                tokenizer=resolved.tokenizer,
                prompts=resolved.inputs.train,
                baseline_answers=others if experiment.reward.baseline != "none" else {},
                reward=resolved.inputs.reward,
                device=start.device,
            ),
            Path(folder),
            on_event,
        )
        begun = time.perf_counter()
        rollouts = trainer.generate(1)
        experience = trainer.compute_advantages(rollouts, trainer.score(rollouts))
        once = time.perf_counter() - begun
        size = experiment.ppo.episodes_per_update // experiment.ppo.minibatches
        step = _timed(lambda: trainer.step(range(size), rollouts, experience, RunningMeans()))
    return once + experiment.ppo.epochs * experiment.ppo.minibatches * step


def _save(policy: Policy, start: StartModel) -> None:
    from ppo_cli.models.loading import quiet_transformers

    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        policy.save(Path(folder), start.folder)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _peak_memory(start: StartModel) -> float:
    """Bytes that this process has taken at most, which has carried out all kinds of work that a run does."""
    if start.device.type == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated(start.device))
    if PROCESS.is_dir():
        (peak,) = re.findall(r"(?m)^VmHWM:\s+(\d+) kB$", (PROCESS / "status").read_text(encoding="utf-8"))
        return float(peak) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _forget_peak() -> None:
    """Linux forgets what a warm start took, which the run will find done; elsewhere it counts."""
    with suppress(OSError):
        (PROCESS / "clear_refs").write_text("5", encoding="utf-8")


def _growth(updates: int, start: StartModel) -> float:
    return 1 + GROWTH * min(1.0, updates / GROWTH_UPDATES) if start.device.type == "cpu" else 1.0


def _memory_of(device: str) -> float:
    if device == "cuda":
        import torch

        return float(torch.cuda.get_device_properties(0).total_memory)
    import os

    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
