"""`ppo eval`: what a checkpoint or model does on an evaluation set, against the start model where it has one.

Not here: the statistics, the rules, the screens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.analysis.comparison import compare
from ppo_cli.analysis.inference import estimate
from ppo_cli.analysis.table import tabulate
from ppo_cli.behaviours.catalog import MEASURES, RULES_VERSION, label
from ppo_cli.commands.ground import Ground, read_inputs, render_all, stand_on, verify_ground
from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.experiment.schema import Evaluation, Experiment
from ppo_cli.prompts.reading import read_prompts
from ppo_cli.records import (
    Answer,
    Comparison,
    Estimate,
    EvaluationOutcome,
    Labelled,
    Measure,
    Phase,
    Progress,
    Prompt,
    Sample,
    Watcher,
    nobody,
)
from ppo_cli.rewards.graded import graded
from ppo_cli.rewards.preference import build_reward
from ppo_cli.store import evaluations
from ppo_cli.store.files import disk_errors
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, run_of

if TYPE_CHECKING:
    from ppo_cli.engine.policy import Policy
    from ppo_cli.engine.team import Team
    from ppo_cli.models.loading import Tokens

OpenModel = Callable[[], AbstractContextManager[Any]]

EVALUATIONS = "evaluations"
"""Folder inside the output folder for models that belong to no run."""

BEST, LAST = "best", "last"
"""What may stand for a checkpoint of a run: RUN/best, RUN/last."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One finished evaluation."""

    folder: Path
    name: str
    prompts: dict[str, Prompt]
    samples: list[Sample]
    labelled: list[Labelled]
    estimates: tuple[Estimate, ...]
    partial: bool


def evaluate(
    checkpoint: str,
    *,
    config: Path | None = None,
    prompts_file: Path | None = None,
    output: Path = Path("runs"),
    watcher: Watcher = nobody,
) -> EvaluationOutcome:
    """Answers an evaluation set with a model and measures the answers.

    Args:
        checkpoint: a checkpoint of a run, RUN/best, RUN/last, a model folder, a Hugging Face id or builtin:NAME.
        config: needed for a model that belongs to no run: gives the settings, prompts and start model.
        prompts_file: another prompt file instead of the frozen evaluation set.
        output: folder of run folders.
        watcher: told of progress.

    Raises:
        UsageError: no such checkpoint, or no settings for it.
        IntegrityError: the run or the checkpoint was changed after freezing.
    """
    checkpoint = _by_name(checkpoint, output)
    run = run_of(Path(checkpoint)) if Path(checkpoint).exists() else None
    if run is not None:
        experiment, lock = run.verify()
    elif config is not None:
        experiment, lock = load_experiment(config).experiment, None
    else:
        if checkpoint.startswith(("/", ".", "runs/")) and not Path(checkpoint).exists():
            raise UsageError(
                f"{checkpoint}: no such checkpoint.", "List a run's checkpoints with `ls RUN/checkpoints`."
            )
        raise UsageError(
            f"{checkpoint} belongs to no run, so nothing says how to sample from it.",
            "Add --config configs/refusal.yaml.",
        )

    foreign = read_prompts(prompts_file) if prompts_file is not None else None

    from ppo_cli.commands.start import load_start, open_checkpoint

    ground = stand_on(read_inputs(experiment), watcher)
    if run is not None and lock is not None:
        verify_ground(lock, ground, run.name)
    policy_source = open_checkpoint(checkpoint, run, watcher)
    start = load_start(ground, watcher)
    policy = start.beside(policy_source)

    chosen = ground.inputs.evaluation if foreign is None else foreign
    folder = _folder(checkpoint, run, prompts_file, output)
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)  # before the work, so that none is lost
    evaluated = evaluate_into(
        folder,
        lambda: nullcontext(policy),
        lambda: nullcontext(start.model),
        ground.tokens,
        chosen,
        experiment,
        name=_name(checkpoint, run),
        about={"checkpoint": _name(checkpoint, run), "prompts": prompts_file.name if prompts_file else "eval"},
        partial=False,
        watcher=watcher,
    )
    baseline = _step_zero(run, ground) if run and prompts_file is None else None
    comparison = against(baseline, evaluated, experiment) if baseline else None
    return EvaluationOutcome(
        name=evaluated.name,
        goal=experiment.goal,
        folder=str(evaluated.folder),
        rules=RULES_VERSION,
        prompts=len(chosen),
        samples_per_prompt=experiment.evaluation.samples_per_prompt,
        estimates=evaluated.estimates,
        comparison=comparison,
        graded=graded(experiment.reward.terms),
    )


def evaluate_into(
    folder: Path,
    policy: OpenModel,
    reference: OpenModel,
    tokens: Tokens,
    prompts: Sequence[Prompt],
    experiment: Experiment,
    *,
    name: str,
    about: dict[str, Any],
    partial: bool,
    watcher: Watcher,
    team: Team | None = None,
) -> Evaluated:
    """Samples, labels, measures, and writes an evaluation folder."""
    samples = answer(policy, reference, tokens, prompts, experiment, watcher, team)
    labelled = _labelled(prompts, samples, experiment)
    table = tabulate(labelled)
    estimates = tuple(estimate(measure, table) for measure in _measures(experiment, partial=partial))
    settings = experiment.evaluation
    evaluations.write_evaluation(
        folder,
        samples,
        labelled,
        estimates,
        RULES_VERSION,
        {
            **about,
            "partial": partial,
            "prompt_count": len(prompts),
            "samples_per_prompt": settings.samples_per_prompt,
            "max_new_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed,
        },
    )
    return Evaluated(
        folder=folder,
        name=name,
        prompts={prompt.id: prompt for prompt in prompts},
        samples=samples,
        labelled=labelled,
        estimates=estimates,
        partial=partial,
    )


def who_answers(policy: Policy, step: int) -> OpenModel:
    """Opens the model whose behaviour is measured after so many updates; step 0 is the reference itself."""
    return policy.as_plain_model if step else policy.as_plain_reference


def answer(
    policy: OpenModel,
    reference: OpenModel,
    tokens: Tokens,
    prompts: Sequence[Prompt],
    experiment: Experiment,
    watcher: Watcher,
    team: Team | None = None,
) -> list[Sample]:
    """K seeded answers to each prompt, with the exact KL to the reference and the entropy on each first answer.

    Where several processes train together each answers its share of the prompts, and all get all of the samples.
    """
    import numpy as np
    import torch

    from ppo_cli.models.divergence import divergence
    from ppo_cli.models.sampling import sample_answers, uniforms

    settings = experiment.evaluation
    decoding = _decoding(settings, tokens)
    prompts = team.share(prompts) if team else prompts
    rendered = render_all(tokens, prompts, Path("the prompt file"), experiment.prompts.max_tokens)
    draws = [
        np.stack(
            [
                uniforms(settings.seed, "evaluation", prompt.id, number, count=settings.max_new_tokens)
                for number in range(settings.samples_per_prompt)
            ]
        )
        for prompt in prompts
    ]
    # Sampling here draws from its own numbers; the guard keeps even a library's stray draw away from training.
    with torch.random.fork_rng():
        watcher(Phase(name="answering", total=len(prompts) * settings.samples_per_prompt, unit="answers"))
        with policy() as model:
            drawn = sample_answers(model, rendered, draws, decoding, lambda done: watcher(Progress(done=done)))
        watcher(Phase(name="KL and entropy", total=len(prompts), unit="answers"))
        first = [(ids, rows[0].tokens) for ids, rows in zip(rendered, drawn, strict=True)]
        other = None if policy == reference else reference
        moved = divergence(policy, other, first, lambda done: watcher(Progress(done=done)))
    answered = [
        [
            Sample(
                prompt_id=prompt.id,
                sample=number,
                answer=tokens.decode(row.tokens),
                tokens=len(row.tokens),
                finish=row.finish,
                kl=max(0.0, found.kl) if number == 0 else None,
                entropy=found.entropy if number == 0 else None,
            )
            for number, row in enumerate(rows)
        ]
        for prompt, rows, found in zip(prompts, drawn, moved, strict=True)
    ]
    return [sample for samples in (team.merged(answered) if team else answered) for sample in samples]


def against(baseline: Evaluated, evaluated: Evaluated, experiment: Experiment) -> Comparison:
    """An evaluation compared with step 0, over the prompts that both answered."""
    comparison = compare(
        (baseline.name, evaluated.name),
        baseline.labelled,
        evaluated.labelled,
        _measures(experiment, partial=evaluated.partial),
        {**baseline.prompts, **evaluated.prompts},
        primary=experiment.evaluation.primary,
        smallest_effect=experiment.evaluation.smallest_effect,
    )
    return replace(comparison, graded=graded(experiment.reward.terms))


def read_evaluation(folder: Path, prompts: Sequence[Prompt], name: str) -> Evaluated:
    """An evaluation from its folder, labelled anew by the rules of this version.

    Raises:
        IntegrityError: not complete, or changed.
    """
    summary = evaluations.read_summary(folder)
    samples = evaluations.read_samples(folder)
    known = {prompt.id for prompt in prompts}
    if any(sample.prompt_id not in known for sample in samples):
        raise IntegrityError(f"{folder} answers prompts that are not in its set.", "Evaluate again.")
    run = run_of(folder)
    labelled = _labelled(prompts, samples, run.experiment() if run else None)
    table = tabulate(labelled)
    answered = {sample.prompt_id for sample in samples}
    return Evaluated(
        folder=folder,
        name=name,
        prompts={prompt.id: prompt for prompt in prompts if prompt.id in answered},
        samples=samples,
        labelled=labelled,
        estimates=tuple(estimate(measure, table) for measure in MEASURES),
        partial=bool(summary.get("partial")),
    )


def _by_name(checkpoint: str, output: Path) -> str:
    """RUN/best and RUN/last as the folder they stand for; anything else as it is.

    Raises:
        UsageError: the run has no such checkpoint.
    """
    path = Path(checkpoint)
    if path.name not in (BEST, LAST) or path.exists():
        return checkpoint
    folders = (path.parent, output / path.parent)
    run = next((found for folder in folders if folder.is_dir() and (found := run_of(folder))), None)
    if run is None:
        return checkpoint
    steps = [step for folder in run.layout.checkpoints.iterdir() if (step := step_of(folder)) is not None]
    step = run.state().best if path.name == BEST else max(steps, default=None)
    if step is None:
        raise UsageError(f"{run.name} has no {path.name} checkpoint.", f"Name one of {run.layout.checkpoints}/step-…")
    return str(run.layout.checkpoint(step))


def _measures(experiment: Experiment, *, partial: bool) -> list[Measure]:
    """All measures; of an interim evaluation only those that a run's own screens show."""
    primary = experiment.evaluation.primary
    return [measure for measure in MEASURES if not (partial and measure.detail) or measure.name == primary]


def _labelled(prompts: Sequence[Prompt], samples: Sequence[Sample], experiment: Experiment | None) -> list[Labelled]:
    """What the rules say of every answer and, where its experiment is known, what its reward pays for it alone."""
    rows = label(prompts, samples)
    if experiment is None:
        return rows
    by_id: Mapping[str, Prompt] = {prompt.id: prompt for prompt in prompts}
    answers = [Answer(text=sample.answer, tokens=sample.tokens, finish=sample.finish) for sample in samples]
    scored = build_reward(experiment.reward)([by_id[row.prompt_id] for row in rows], answers, [()] * len(rows))
    return [
        replace(row, values={**row.values, "reward": score.reward}) for row, score in zip(rows, scored, strict=True)
    ]


def _step_zero(run: Run, ground: Ground) -> Evaluated | None:
    folder = run.layout.evaluation(0)
    if not evaluations.is_complete(folder):
        return None
    return read_evaluation(folder, ground.inputs.evaluation, "step 0")


def _decoding(settings: Evaluation, tokens: Tokens) -> Any:  # noqa: ANN401
    from ppo_cli.models.sampling import Decoding

    return Decoding(settings.max_new_tokens, settings.temperature, tokens.stop_ids, tokens.pad_id)


def _folder(checkpoint: str, run: Run | None, prompts_file: Path | None, output: Path) -> Path:
    """Where an evaluation goes: beside the run's others, or in a folder of its own."""
    suffix = ""
    if prompts_file is not None:
        suffix = f"--{prompts_file.stem}-{hashlib.sha256(prompts_file.read_bytes()).hexdigest()[:6]}"
    if run is not None:
        step = step_of(Path(checkpoint).absolute())
        name = f"step-{step:06d}" if step is not None else Path(checkpoint).name
        return run.layout.evaluations / f"{name}{suffix}"
    slug = Path(checkpoint.replace("builtin:", "")).name
    return output / EVALUATIONS / f"{slug}-{hashlib.sha256(checkpoint.encode()).hexdigest()[:6]}{suffix}"


def _name(checkpoint: str, run: Run | None) -> str:
    return f"{run.name}/{Path(checkpoint).name}" if run else checkpoint
