"""Time, memory and disk of a run, estimated by timing one update, part of an evaluation and one checkpoint.

Not here: the estimate that loads no model (`planned_cost`).
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ppo_cli.models.cost_estimate import SETUP_SECONDS, STATISTICS_SECONDS
from ppo_cli.models.free_memory import return_free_memory
from ppo_cli.preflight.planned_cost import planned_work
from ppo_cli.preflight.start_samples import StartModelSamples
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.checks import Check
from ppo_cli.records.events import EventHandler, Phase
from ppo_cli.records.process_limits import machine_memory_bytes, peak_memory_bytes
from ppo_cli.records.results import Cost

if TYPE_CHECKING:
    from ppo_cli.engine.policy import Policy
    from ppo_cli.setup.resolve import ResolvedExperiment
    from ppo_cli.setup.start_model import StartModel
    from ppo_cli.setup.tokenized_prompts import TokenizedPrompts

TIMED_ANSWERS = 256
"""Answers of the evaluation that is timed: as many as are decoded side by side."""
WEIGHT_BYTES_PER_SECOND = 3e8
"""Speed at which weights are read from disk."""
MAX_BYTES_WRITTEN = 4e9
"""Larger weights are not written to time it; their time is estimated from WEIGHT_BYTES_PER_SECOND."""
MEMORY_GROWTH, GROWTH_UPDATES = 0.2, 5
"""On CPUs the allocator keeps pieces of free memory: after so many updates a run's peak is this share above that of the
check, and after fewer updates it is less. A run of `clarify` took 2.36 GB, its check 2.0."""
PROC_SELF = Path("/proc/self")
"""Where Linux shows a process its own memory use."""
MAX_MEMORY_SHARE = 0.9
"""Share of the machine's memory that a run may take."""


def measured_cost(
    resolved: ResolvedExperiment, start: StartModel, policy: Policy, samples: StartModelSamples, on_event: EventHandler
) -> Cost:
    """Runs and times most of an update, part of an evaluation and a checkpoint; afterwards the policy has changed."""
    work, experiment = planned_work(resolved.inputs), resolved.experiment
    _reset_peak_memory(start)
    on_event(Phase(name="timing an evaluation"))
    prompt_count = max(4, TIMED_ANSWERS // experiment.evaluation.samples_per_prompt)
    subset = stratified_subset(resolved.inputs.evaluation, prompt_count)
    prompts = resolved.evaluation.only({prompt.id for prompt in subset})
    seconds_per_prompt = _timed(lambda: _evaluate(resolved, policy, prompts, on_event)) / len(prompts)
    on_event(Phase(name="timing an update"))
    update_seconds = _time_update(resolved, start, policy, samples, on_event)
    digest_seconds = _timed(policy.reference_digest)
    weights = sum(file.stat().st_size for file in start.folder.glob("*.safetensors"))
    if weights < MAX_BYTES_WRITTEN:
        checkpoint_seconds = _timed(lambda: _save(policy, start))
    else:
        checkpoint_seconds = 2 * weights / WEIGHT_BYTES_PER_SECOND
    evaluations = work.whole_evaluations + work.interim_evaluations
    checkpoints = work.updates // experiment.checkpoints.every + work.interim_evaluations + 1
    parts = {
        "setup": SETUP_SECONDS + 2 * digest_seconds + weights / WEIGHT_BYTES_PER_SECOND,
        "baseline answers": work.baseline_answers * samples.seconds / samples.answer_count,
        "updates": work.updates * update_seconds,
        "evaluations": seconds_per_prompt
        * (work.whole_evaluations * work.eval_prompts + work.interim_evaluations * work.interim_prompts)
        + evaluations * STATISTICS_SECONDS,
        "checkpoints": checkpoints * checkpoint_seconds,
    }
    return Cost(
        episodes=work.updates * work.episodes,
        seconds=sum(parts.values()),
        memory_gb=_peak_memory(start) * _memory_growth(work.updates, start) / 1e9,
        disk_gb=weights * work.checkpoints_kept / 1e9 + 0.02,
        device=start.device.type,
        gflops=None,
        parts=parts,
    )


def cost_checks(cost: Cost, runs_dir: Path) -> list[Check]:
    """Whether the run fits this machine."""
    from ppo_cli.reports.formatting import duration

    memory, disk, seconds = cost.memory_gb or 0.0, cost.disk_gb or 0.0, cost.seconds or 0.0
    machine_memory = _memory_of(cost.device) / 1e9
    existing = next(folder for folder in [runs_dir, *runs_dir.absolute().parents] if folder.is_dir())
    free = shutil.disk_usage(existing).free / 1e9
    longest = max(cost.parts, key=lambda name: cost.parts[name])
    return [
        Check(
            name="time",
            status="pass",
            value=f"about {duration(seconds)}",
            threshold="any",
            reason=f"{cost.parts[longest] / seconds:.0%} for {longest}; estimated from parts that were timed",
        ),
        Check.from_condition(
            "memory",
            memory < MAX_MEMORY_SHARE * machine_memory,
            value=f"{memory:.1f} GB at its peak",
            threshold=f"below {MAX_MEMORY_SHARE:.0%} of {machine_memory:.1f} GB",
            reason="a process that runs out of memory is killed and loses its current update",
            next_step="Lower ppo.tokens_per_pass or rollout.max_new_tokens, or set "
            "model.train.gradient_checkpointing=true or model.load_in=4bit.",
            otherwise="warn",
        ),
        Check.from_condition(
            "disk",
            disk < free,
            value=f"{disk:.1f} GB",
            threshold=f"below the {free:.0f} GB that are free",
            reason="a full disk ends the run",
            next_step="Lower checkpoints.keep, or give another --runs-dir.",
        ),
    ]


def _evaluate(resolved: ResolvedExperiment, policy: Policy, prompts: TokenizedPrompts, on_event: EventHandler) -> None:
    from ppo_cli.evaluation.answering_models import AnsweringModels
    from ppo_cli.evaluation.evaluate import sample_answers
    from ppo_cli.evaluation.first_answer_fit import fit_judge

    models = AnsweringModels(
        policy=policy.merged_model,
        reference=policy.reference_model,
        tokenizer=resolved.tokenizer,
        fit_judge=fit_judge(resolved),
    )
    sample_answers(models, prompts, resolved.experiment.evaluation, on_event)


def _time_update(
    resolved: ResolvedExperiment, start: StartModel, policy: Policy, samples: StartModelSamples, on_event: EventHandler
) -> float:
    """Seconds per update: sampling, scoring and advantages are run once, and one of its optimizer steps."""
    from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs

    experiment = resolved.experiment
    sampled = {prompt.id: answers for prompt, answers in samples.samples.rows()}
    placeholder = samples.samples.answers[0]
    baseline_answers = {prompt.id: list(sampled.get(prompt.id, placeholder)) for prompt in resolved.inputs.train}
    with tempfile.TemporaryDirectory() as folder:
        trainer = PolicyTrainer(
            experiment,
            TrainerInputs(
                policy=policy,
                tokenizer=resolved.tokenizer,
                prompts=resolved.train.prompts,
                prompt_token_ids=resolved.train.token_ids,
                baseline_answers=baseline_answers if experiment.reward.baseline != "none" else {},
                reward=resolved.inputs.reward,
                device=start.device,
            ),
            Path(folder),
            on_event,
        )
        started = time.perf_counter()
        rollouts = trainer.generate(1)
        experience = trainer.compute_advantages(rollouts, trainer.score(rollouts))
        rollout_seconds = time.perf_counter() - started
        size = experiment.ppo.episodes_per_update // experiment.ppo.minibatches
        step_seconds = _timed(lambda: trainer.updater.minibatch_step(1, range(size), rollouts, experience))
    return rollout_seconds + experiment.ppo.epochs * experiment.ppo.minibatches * step_seconds


def _save(policy: Policy, start: StartModel) -> None:
    from ppo_cli.models.loading import quiet_transformers

    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        policy.save(Path(folder), start.folder)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak_memory(start: StartModel) -> float:
    """Peak memory of this process in bytes, after it has done every kind of work of a run."""
    if start.device.type == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated(start.device))
    if PROC_SELF.is_dir():
        (peak,) = re.findall(r"(?m)^VmHWM:\s+(\d+) kB$", (PROC_SELF / "status").read_text(encoding="utf-8"))
        return float(peak) * 1024
    return peak_memory_bytes()


def _reset_peak_memory(start: StartModel) -> None:
    """Leaves out the memory of a warm start, which the run will find done; on CPUs possible on Linux only."""
    if start.device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(start.device)
        return
    return_free_memory()
    with suppress(OSError):
        (PROC_SELF / "clear_refs").write_text("5", encoding="utf-8")


def _memory_growth(updates: int, start: StartModel) -> float:
    return 1 + MEMORY_GROWTH * min(1.0, updates / GROWTH_UPDATES) if start.device.type == "cpu" else 1.0


def _memory_of(device: str) -> float:
    if device == "cuda":
        import torch

        return float(torch.cuda.get_device_properties(0).total_memory)
    return machine_memory_bytes()
