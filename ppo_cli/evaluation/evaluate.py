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

from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.behaviours.measures import BY_CATEGORY, MEASURES, is_headline
from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.evaluation.label import summarise_human_labels
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.jsonl import read_prompts
from ppo_cli.prompts.sources import PromptSet, read_prompt_set
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.events import EventHandler, Notice, Phase, Progress, ignore_events
from ppo_cli.records.measures import Estimate, HumanLabels, LabelledAnswer, Measure, Sample
from ppo_cli.records.results import EvaluationResult
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.setup.resolve import read_inputs, resolve_experiment, tokenize_prompts, verify_against_lock
from ppo_cli.setup.reward_resources import needs_no_resources
from ppo_cli.stats.by_category import by_category
from ppo_cli.stats.comparison import compare
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.store import evaluations
from ppo_cli.store.files import disk_errors
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, run_of

if TYPE_CHECKING:
    from ppo_cli.engine.distributed import ProcessGroup
    from ppo_cli.engine.policy import Policy
    from ppo_cli.models.loading import ChatTokenizer

OpenModel = Callable[[], AbstractContextManager[Any]]

EVALUATIONS = "evaluations"
"""Folder inside the output folder for models that belong to no run."""

BEST, LAST = "best", "last"
"""What may stand for a checkpoint of a run: RUN/best, RUN/last."""


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """One finished evaluation."""

    folder: Path
    name: str
    prompts: dict[str, Prompt]
    samples: list[Sample]
    labelled: list[LabelledAnswer]
    estimates: tuple[Estimate, ...]
    partial: bool


@dataclass(frozen=True, kw_only=True)
class EvaluationTarget:
    """What is evaluated, by which settings, on which prompts, and where the results go."""

    checkpoint: str
    run: Run | None
    experiment: Experiment
    lock: Lock | None
    other_prompts: PromptSet | None
    """Prompts in place of the frozen evaluation set."""
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.run.name}/{Path(self.checkpoint).name}" if self.run else self.checkpoint

    @property
    def baseline(self) -> Path | None:
        """Where step 0 of the same run answers the same prompts."""
        return self.run.layout.evaluations / f"step-000000{_suffix(self.other_prompts)}" if self.run else None

    def prompts(self) -> list[Prompt]:
        """What is asked."""
        return self.other_prompts.prompts if self.other_prompts else read_prompts(Path(self.experiment.prompts.eval))


def evaluate(
    checkpoint: str,
    *,
    config: Path | None = None,
    prompts: str | None = None,
    rescore: bool = False,
    output: Path = Path("runs"),
    on_event: EventHandler = ignore_events,
) -> EvaluationResult:
    """Answers an evaluation set with a model and measures the answers; goes on where a killed evaluation was.

    Args:
        checkpoint: a checkpoint of a run, RUN/best, RUN/last, a model folder, a Hugging Face id or builtin:NAME.
        config: needed for a model that belongs to no run: gives the settings, prompts and start model.
        prompts: other prompts instead of the frozen evaluation set: a file, or hf:NAME[:split].
        rescore: measure the answers that are there by the rules of today; nothing is generated, no torch is needed.
        output: folder of run folders.
        on_event: told of progress.

    Raises:
        UsageError: no such checkpoint, or no settings for it; no answers that could be rescored.
        IntegrityError: the run or the checkpoint was changed after freezing.
    """
    subject = find_target(checkpoint, config=config, prompts=prompts, output=output)
    if rescore:
        evaluated, baseline = rescore_evaluation(subject), _recorded_baseline(subject)
    else:
        evaluated, baseline = _sample_and_measure(subject, on_event)
    return _result(subject, evaluated, baseline if subject.folder != subject.baseline else None)


def find_target(checkpoint: str, *, config: Path | None, prompts: str | None, output: Path) -> EvaluationTarget:
    """Finds out what is to be evaluated, without loading a model.

    Raises:
        UsageError: no such checkpoint, or no settings for it.
        IntegrityError: the run was changed after freezing.
    """
    checkpoint = _resolve_name(checkpoint, output)
    inside = Path(checkpoint).exists() or step_of(Path(checkpoint)) is not None  # pruned ones have evaluations still
    run = run_of(Path(checkpoint)) if inside else None
    if run is not None:
        experiment, lock = run.verify()
    elif config is not None:
        experiment, lock = load_experiment(config).experiment, None
    else:
        if checkpoint.startswith(("/", ".", "runs/")) and not Path(checkpoint).exists():
            raise _no_such_checkpoint(checkpoint)
        raise UsageError(
            f"{checkpoint} belongs to no run, so nothing says how to sample from it.",
            "Add --config configs/refusal.yaml.",
        )
    foreign = read_prompt_set(prompts) if prompts is not None else None
    folder = _folder(checkpoint, run, _suffix(foreign), output)
    return EvaluationTarget(
        checkpoint=checkpoint, run=run, experiment=experiment, lock=lock, other_prompts=foreign, folder=folder
    )


def rescore_evaluation(subject: EvaluationTarget) -> EvaluationData:
    """Measures answers that are there by the rules of today, and writes the scores anew.

    Raises:
        UsageError: there are none.
        IntegrityError: they were changed.
    """
    if not evaluations.is_complete(subject.folder):
        raise UsageError(
            f"{subject.folder} holds no complete evaluation to score again.", "Evaluate first, without --rescore."
        )
    found = read_evaluation(subject.folder, subject.prompts(), subject.name, subject.experiment)
    kept = {measure.name for measure in _measures(subject.experiment, partial=found.partial)}
    found = replace(found, estimates=tuple(estimate for estimate in found.estimates if estimate.name in kept))
    about = evaluations.about_of(evaluations.read_summary(subject.folder))
    evaluations.write_scores(subject.folder, found.labelled, found.estimates, RULES_VERSION, about)
    return found


def _sample_and_measure(
    subject: EvaluationTarget, on_event: EventHandler
) -> tuple[EvaluationData, EvaluationData | None]:
    """Generates and measures; step 0 too, where nothing says yet what it answers to these prompts."""
    from ppo_cli.models.loading import model_digests
    from ppo_cli.setup.start_model import load_start_model, open_checkpoint

    run, experiment = subject.run, subject.experiment
    if run is not None and not Path(subject.checkpoint).exists():
        raise _no_such_checkpoint(subject.checkpoint)
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    if run is not None and subject.lock is not None:
        verify_against_lock(subject.lock, resolved, run.name)
    source = open_checkpoint(subject.checkpoint, run, on_event)
    with disk_errors(subject.folder):
        subject.folder.parent.mkdir(parents=True, exist_ok=True)  # before the work, so that none is lost
    start = load_start_model(resolved, on_event)
    policy = start.load_other(source)
    chosen = subject.prompts()
    asked = subject.other_prompts.name if subject.other_prompts else "eval"

    def evaluated(folder: Path, model: Any, name: str, weights: Path) -> EvaluationData:  # noqa: ANN401
        def reference() -> AbstractContextManager[Any]:
            return nullcontext(start.model)

        return run_evaluation(
            folder,
            reference if model is start.model else lambda: nullcontext(model),
            reference,
            resolved.tokenizer,
            chosen,
            experiment,
            name=name,
            about={"checkpoint": name, "prompts": asked},
            partial=False,
            on_event=on_event,
            weights=model_digests(weights, resolved.tokenizer)["weights"],
        )

    now = evaluated(subject.folder, policy, subject.name, source)
    baseline = _recorded_baseline(subject)
    if baseline is None and run is not None and subject.other_prompts is not None:
        on_event(Notice(text=f"Evaluating step 0 on {asked} too, to compare with."))
        folder = run.layout.evaluations / f"step-000000{_suffix(subject.other_prompts)}"
        baseline = replace(evaluated(folder, start.model, f"{run.name}/step-000000", start.folder), name="step 0")
    return now, baseline


def _recorded_baseline(subject: EvaluationTarget) -> EvaluationData | None:
    """What step 0 of the same run answered to the same prompts, if that is on record."""
    folder = subject.baseline
    if folder is None or not evaluations.is_complete(folder):
        return None
    return read_evaluation(folder, subject.prompts(), "step 0")


def _result(subject: EvaluationTarget, evaluated: EvaluationData, baseline: EvaluationData | None) -> EvaluationResult:
    experiment = subject.experiment
    return EvaluationResult(
        name=evaluated.name,
        goal=experiment.goal,
        folder=str(evaluated.folder),
        rules=RULES_VERSION,
        prompts=len(evaluated.prompts),
        samples_per_prompt=experiment.evaluation.samples_per_prompt,
        estimates=evaluated.estimates,
        comparison=compare_with_baseline(baseline, evaluated, experiment) if baseline else None,
        rewarded_measures=measures_also_rewarded(experiment.reward.terms),
        human_labels=_human_labels(subject),
        categories=by_category(evaluated.labelled, baseline.labelled if baseline else (), BY_CATEGORY),
    )


def run_evaluation(
    folder: Path,
    policy: OpenModel,
    reference: OpenModel,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Prompt],
    experiment: Experiment,
    *,
    name: str,
    about: dict[str, Any],
    partial: bool,
    on_event: EventHandler,
    process_group: ProcessGroup | None = None,
    weights: Any = None,  # noqa: ANN401
) -> EvaluationData:
    """Samples, labels, measures, and writes an evaluation folder; goes on where a killed one was.

    Args:
        folder: of the evaluation.
        policy: opens the model that answers.
        reference: opens the model it is compared with; the same function where it is the policy itself.
        tokenizer: of both.
        prompts: what is asked.
        experiment: gives the settings.
        name: what to call it.
        about: goes into the summary.
        partial: whether the prompts are a part of the evaluation set.
        on_event: told of progress.
        process_group: where several processes share the work; they keep no draft.
        weights: what says, beside `about`, which weights answer.
    """

    def draft(how: Mapping[str, Any]) -> evaluations.PartialSamples:
        return evaluations.PartialSamples(folder, {**about, "weights": weights, **how})

    alone = process_group is None or process_group.world_size == 1
    samples = sample_answers(
        policy, reference, tokenizer, prompts, experiment, on_event, process_group, draft if alone else None
    )
    labelled = _label_samples(prompts, samples, experiment)
    table = label_matrix(labelled)
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
    return EvaluationData(
        folder=folder,
        name=name,
        prompts={prompt.id: prompt for prompt in prompts},
        samples=samples,
        labelled=labelled,
        estimates=estimates,
        partial=partial,
    )


def policy_at_step(policy: Policy, step: int) -> OpenModel:
    """Opens the model whose behaviour is measured after so many updates; step 0 is the reference itself."""
    return policy.merged_model if step else policy.reference_model


def sample_answers(
    policy: OpenModel,
    reference: OpenModel,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Prompt],
    experiment: Experiment,
    on_event: EventHandler,
    process_group: ProcessGroup | None = None,
    draft: Callable[[Mapping[str, Any]], evaluations.PartialSamples] | None = None,
) -> list[Sample]:
    """K seeded answers to each prompt, with the exact KL to the reference and the entropy on each first answer.

    Where several processes train together each answers its share of the prompts, and all get all of the samples.
    """
    import torch

    from ppo_cli.evaluation.resumable_sampling import sample_resumable
    from ppo_cli.models.exact_kl import exact_kl_and_entropy

    prompts = process_group.shard(prompts) if process_group else prompts
    rendered = tokenize_prompts(tokenizer, prompts, Path("the prompt file"), experiment.prompts.max_tokens)
    # Sampling here draws from its own numbers; the guard keeps even a library's stray draw away from training.
    with torch.random.fork_rng():
        drawn = sample_resumable(policy, tokenizer, prompts, rendered, experiment.evaluation, on_event, draft)
        on_event(Phase(name="KL and entropy", total=len(prompts), unit="answers"))
        first = [(ids, rows[0][0]) for ids, rows in zip(rendered, drawn, strict=True)]
        other = None if policy == reference else reference
        moved = exact_kl_and_entropy(policy, other, first, lambda done: on_event(Progress(done=done)))
    answered = [
        [
            Sample(
                prompt_id=prompt.id,
                sample=number,
                answer=tokenizer.decode(ids),
                token_count=len(ids),
                finish=finish,
                kl=max(0.0, found.kl) if number == 0 else None,
                entropy=found.entropy if number == 0 else None,
            )
            for number, (ids, finish) in enumerate(rows)
        ]
        for prompt, rows, found in zip(prompts, drawn, moved, strict=True)
    ]
    return [sample for samples in (process_group.gather(answered) if process_group else answered) for sample in samples]


def compare_with_baseline(baseline: EvaluationData, evaluated: EvaluationData, experiment: Experiment) -> Comparison:
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
    return replace(comparison, rewarded_measures=measures_also_rewarded(experiment.reward.terms))


def read_evaluation(
    folder: Path,
    prompts: Sequence[Prompt],
    name: str,
    experiment: Experiment | None = None,
    measures: Sequence[Measure] = MEASURES,
) -> EvaluationData:
    """An evaluation from its folder, labelled anew by the rules of this version.

    Args:
        folder: of the evaluation.
        prompts: its set, or more.
        name: what to call it.
        experiment: whose reward is measured; by default that of the run it lies in, if any.
        measures: estimated from it; whoever wants the labels only leaves the time for them.

    Raises:
        IntegrityError: not complete, or changed.
    """
    summary = evaluations.read_summary(folder)
    samples = evaluations.read_samples(folder)
    known = {prompt.id for prompt in prompts}
    if any(sample.prompt_id not in known for sample in samples):
        raise IntegrityError(f"{folder} answers prompts that are not in its set.", "Evaluate again.")
    run = run_of(folder)
    labelled = _label_samples(prompts, samples, experiment or (run.experiment() if run else None))
    table = label_matrix(labelled)
    answered = {sample.prompt_id for sample in samples}
    return EvaluationData(
        folder=folder,
        name=name,
        prompts={prompt.id: prompt for prompt in prompts if prompt.id in answered},
        samples=samples,
        labelled=labelled,
        estimates=tuple(estimate(measure, table) for measure in measures),
        partial=bool(summary.get("partial")),
    )


def _no_such_checkpoint(checkpoint: str) -> UsageError:
    return UsageError(f"{checkpoint}: no such checkpoint.", "List a run's checkpoints with `ls RUN/checkpoints`.")


def _resolve_name(checkpoint: str, output: Path) -> str:
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
    step = run.state().best_step if path.name == BEST else max(steps, default=None)
    if step is None:
        raise UsageError(f"{run.name} has no {path.name} checkpoint.", f"Name one of {run.layout.checkpoints}/step-…")
    return str(run.layout.checkpoint(step))


def _measures(experiment: Experiment, *, partial: bool) -> list[Measure]:
    """All measures; of an interim evaluation only those that a run's own screens show."""
    primary = experiment.evaluation.primary
    return [measure for measure in MEASURES if not partial or is_headline(measure, primary)]


def _label_samples(
    prompts: Sequence[Prompt], samples: Sequence[Sample], experiment: Experiment | None
) -> list[LabelledAnswer]:
    """What the rules say of every answer and, where its experiment is known, what its reward pays for it alone.

    Of a reward that runs code, a model or a service, nothing: an evaluation runs none of a config's.
    """
    rows = label_sample(prompts, samples)
    if experiment is None or not needs_no_resources(experiment.reward):
        return rows
    by_id: Mapping[str, Prompt] = {prompt.id: prompt for prompt in prompts}
    answers = [Answer(text=sample.answer, token_count=sample.token_count, finish=sample.finish) for sample in samples]
    scored = CompositeReward(experiment.reward)([by_id[row.prompt_id] for row in rows], answers, [()] * len(rows))
    return [
        replace(row, labels={**row.labels, "reward": score.reward}) for row, score in zip(rows, scored, strict=True)
    ]


def _human_labels(subject: EvaluationTarget) -> HumanLabels | None:
    """What people's labels say of the same answers."""
    step = step_of(subject.folder)
    return summarise_human_labels(subject.run, step) if subject.run and step else None


def _suffix(foreign: PromptSet | None) -> str:
    return f"--{foreign.name}-{foreign.digest[:6]}" if foreign else ""


def _folder(checkpoint: str, run: Run | None, suffix: str, output: Path) -> Path:
    """Where an evaluation goes: beside the run's others, or in a folder of its own."""
    if run is not None:
        step = step_of(Path(checkpoint).absolute())
        name = f"step-{step:06d}" if step is not None else Path(checkpoint).name
        return run.layout.evaluations / f"{name}{suffix}"
    slug = Path(checkpoint.replace("builtin:", "")).name
    return output / EVALUATIONS / f"{slug}-{hashlib.sha256(checkpoint.encode()).hexdigest()[:6]}{suffix}"
