"""`ppo eval`: sample a checkpoint or model on an evaluation set, measure the answers, compare with the start model.

Not here: what is evaluated (`target`), evaluations in memory (`evaluation_data`), several checkpoints
(`checkpoint_curve`), answers from elsewhere (`external_answers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.behaviours.label_answers import RULES_VERSION
from ppo_cli.behaviours.measures import BY_CATEGORY
from ppo_cli.errors import NoPermissionError, UsageError
from ppo_cli.evaluation.answering_models import AnsweringModels
from ppo_cli.evaluation.capabilities import KEY, measured_capabilities, read_capabilities, require_harness, tasks_of
from ppo_cli.evaluation.evaluation_data import EvaluationData, compare_with_baseline, label_evaluation, measures_shown
from ppo_cli.evaluation.judge_agreement import human_label_summary
from ppo_cli.evaluation.judge_error import judged_estimates, with_judge_error
from ppo_cli.evaluation.kept_evaluation import kept_evaluation
from ppo_cli.evaluation.known_seed_noise import known_seed_noise
from ppo_cli.evaluation.own_values import with_own_measures
from ppo_cli.evaluation.target import EvaluationTarget, find_target, no_such_checkpoint
from ppo_cli.experiment.load import LoadedExperiment
from ppo_cli.experiment.schema import Evaluation, Experiment
from ppo_cli.records.events import EventHandler, Notice, Phase, Progress, ignore_events
from ppo_cli.records.measures import Sample
from ppo_cli.records.results import EvaluationResult
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.setup.freeze_inputs import verify_against_lock, verify_terms
from ppo_cli.setup.own_runs import OWN_RUN, ReceivedRunOptions, open_run
from ppo_cli.setup.resolve import read_inputs, resolve_experiment, tokenize_prompts
from ppo_cli.setup.reward_resources import open_measures
from ppo_cli.setup.tokenized_prompts import TokenizedPrompts
from ppo_cli.stats.by_category import by_category
from ppo_cli.stats.second_judge import agreement_share
from ppo_cli.store import evaluations
from ppo_cli.store.evaluations import EvaluatedPolicy
from ppo_cli.store.files import disk_errors, make_runs_folder, may_write

if TYPE_CHECKING:
    from ppo_cli.evaluation.resumable_sampling import OpenPartialSamples


@dataclass(frozen=True, kw_only=True)
class EvaluationOutput:
    """Where an evaluation is written, and what its summary says of it."""

    folder: Path
    name: str
    """What comparisons call it."""
    checkpoint: str
    """What answered."""
    prompt_set: str = "eval"
    """What was asked: `eval`, or the name of another set."""
    partial: bool = False
    """Whether the prompts are a part of the evaluation set."""
    policy: EvaluatedPolicy = field(default_factory=EvaluatedPolicy)
    """What answers; answers of another policy are not continued."""

    @property
    def about(self) -> dict[str, Any]:
        """The first fields of the summary."""
        return {"checkpoint": self.checkpoint, "prompts": self.prompt_set, "of": asdict(self.policy)}


def evaluate(
    checkpoint: str | Path,
    *,
    config: str | Path | LoadedExperiment | None = None,
    prompts: str | Path | None = None,
    rescore: bool = False,
    runs_dir: str | Path = "runs",
    received: ReceivedRunOptions = OWN_RUN,
    on_event: EventHandler = ignore_events,
) -> EvaluationResult:
    """Samples a model on an evaluation set and measures its answers; continues an evaluation that was killed.

    A checkpoint that its run has evaluated whole is not sampled again, unless `received` says something.

    Args:
        checkpoint: a checkpoint of a run, RUN/best, RUN/last, a model folder, a Hugging Face id or builtin:NAME.
        config: the settings, prompts and start model of a model that belongs to no run.
        prompts: other prompts instead of the experiment's evaluation set: a file, or hf:NAME[:split].
        rescore: measure existing answers by the current rules; generates nothing and needs no torch.
        runs_dir: folder of run folders.
        received: what the user says of a run that was made on another machine.
        on_event: called with progress.

    Raises:
        UsageError: no such checkpoint, no settings for it, a run that brings code, or no answers to rescore.
        IntegrityError: the run or the checkpoint was changed after freezing.

    Example:
        >>> result = evaluate("runs/refusal-kl0.15-s1-7f3a9c/last")
        >>> result.estimates[0].value
        1.62
    """
    target = find_target(
        str(checkpoint),
        config=Path(config) if isinstance(config, str) else config,
        prompts=None if prompts is None else str(prompts),
        runs_dir=Path(runs_dir),
        opened={},
    )
    for notice in target.other_prompts.notices if target.other_prompts else ():
        on_event(Notice(text=notice))
    if rescore:
        evaluated, baseline = rescore_evaluation(target, on_event), target.read_baseline()
    elif received == OWN_RUN and (kept := kept_evaluation(target, on_event)) is not None:
        evaluated, baseline = kept, target.read_baseline()
    else:
        evaluated, baseline = sample_and_measure(target, on_event, received)
    return _result(target, evaluated, baseline if target.folder != target.baseline_folder else None)


def rescore_evaluation(target: EvaluationTarget, on_event: EventHandler = ignore_events) -> EvaluationData:
    """Measures existing answers by the current rules, and replaces their scores where the folder may be written.

    Args:
        target: whose answers.
        on_event: called with a notice where the folder may not be written.

    Raises:
        UsageError: there are no answers.
        IntegrityError: the answers were changed.
    """
    if not evaluations.is_complete(target.folder):
        raise UsageError(
            f"{target.folder} holds no complete evaluation to score again.", "Evaluate first, without --rescore."
        )
    evaluated = target.read()
    about = evaluations.about_of(evaluations.read_summary(target.folder))
    estimates = evaluated.estimates(measures_shown(target.experiment, partial=evaluated.partial))
    try:
        with evaluations.sole_evaluation(target.folder):
            evaluations.write_scores(target.folder, evaluated.labelled, estimates, RULES_VERSION, about)
    except NoPermissionError as error:
        on_event(Notice(text=f"The new scores are shown, not kept: {error.message}", level="warning"))
    return evaluated


def sample_and_measure(
    target: EvaluationTarget, on_event: EventHandler, received: ReceivedRunOptions = OWN_RUN
) -> tuple[EvaluationData, EvaluationData | None]:
    """Generates answers and measures them; those of step 0 to other prompts too, where there are none yet.

    Args:
        target: what is evaluated; a model that belongs to no run is asked with its own tokenizer and chat template.
        on_event: called with progress.
        received: what the user says of a run that was made on another machine.

    Returns:
        The evaluation, and that of step 0 on the same prompts.
    """
    from ppo_cli.evaluation.first_answer_fit import fit_judge
    from ppo_cli.models.folder_checks import require_embeddings
    from ppo_cli.models.model_digests import model_digests
    from ppo_cli.setup.start_model import load_start_model, open_checkpoint, tokenizer_of_other

    records, other = target.records, target.other_prompts
    if records is not None and not Path(target.checkpoint).exists():
        raise no_such_checkpoint(target.checkpoint)
    if records is None and received.start is not None:
        raise UsageError(f"--start has no effect: {target.checkpoint} belongs to no run.", "Leave it out.")
    experiment = target.experiment if records is None else open_run(records.run, received, opens_reward=False)
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    if records is not None:
        verify_against_lock(records.lock, resolved, records.name)
        verify_terms(records.lock, resolved, records.name, only_measures=True)
    source = open_checkpoint(target.checkpoint, target.run, on_event)
    own = records is not None or source.samefile(resolved.model_source.folder)
    tokenizer = resolved.tokenizer if own else tokenizer_of_other(source, resolved, on_event)
    open_measures(resolved.inputs.measures, on_event)
    require_harness(experiment)
    folder = _writable(target.folder, target, on_event)  # before the work, so that none is lost
    start = load_start_model(resolved, on_event)
    policy = start.load_other(source, tokenizer, trust_remote_code=own and experiment.model.trust_remote_code)
    prompts = resolved.evaluation
    if other is not None or tokenizer is not resolved.tokenizer:
        asked, name = (other.prompts, other.name) if other else (prompts.prompts, experiment.prompts.eval)
        prompts = tokenize_prompts(tokenizer, asked, Path(name), experiment.prompts.max_tokens)
    require_embeddings(policy, prompts.ids_by_prompt())

    def evaluated(folder: Path, model: Any, checkpoint: str, policy: EvaluatedPolicy) -> EvaluationData:  # noqa: ANN401
        def reference() -> AbstractContextManager[Any]:
            return nullcontext(start.model)

        return run_evaluation(
            EvaluationOutput(
                folder=folder,
                name=checkpoint,
                checkpoint=checkpoint,
                prompt_set=target.prompt_set,
                policy=policy,
            ),
            AnsweringModels(
                policy=reference if model is start.model else lambda: nullcontext(model),
                reference=reference,
                tokenizer=tokenizer,
                fit_judge=fit_judge(resolved),
                own_measures=resolved.inputs.measures,
            ),
            prompts,
            target.experiment,
            on_event,
        )

    if records is not None:
        answering = EvaluatedPolicy(
            lock=records.lock.fingerprint, step=target.step, checkpoint=evaluations.checkpoint_digest(source)
        )
    else:
        answering = EvaluatedPolicy(checkpoint=model_digests(source, tokenizer)["weights"])
    now = evaluated(folder, policy, target.name, answering)
    baseline = target.read_baseline()
    if baseline is None and records is not None and other is not None and target.baseline_folder is not None:
        on_event(Notice(text=f"Evaluating step 0 on {target.prompt_set} too, to compare with."))
        start_folder = _writable(target.baseline_folder, target, on_event)
        at_start = evaluated(start_folder, start.model, f"{records.name}/step-000000", records.policy_at(0))
        baseline = replace(at_start, name="step 0")
    return now, baseline


def _writable(folder: Path, target: EvaluationTarget, on_event: EventHandler) -> Path:
    """The evaluation folder; one beside the runs where the run may not be written.

    Raises:
        NoPermissionError: neither may be written.
    """
    if not may_write(folder) and target.records is not None:
        folder = target.spare_folder / f"{target.records.name}-{folder.name}"
        text = f"{target.records.name} may not be written, so its evaluation goes to {folder}."
        on_event(Notice(text=text, level="warning"))
    with disk_errors(folder, "Name a folder that may be written with --runs-dir DIR."):
        if not folder.exists():
            make_runs_folder(target.spare_folder.parent)
            folder.mkdir(parents=True)
            folder.rmdir()  # a model that is refused leaves no empty evaluation
    return folder


def run_evaluation(
    output: EvaluationOutput,
    models: AnsweringModels,
    prompts: TokenizedPrompts,
    experiment: Experiment,
    on_event: EventHandler,
    known: Sequence[Sample] | None = None,
) -> EvaluationData:
    """Samples, labels, measures, and writes an evaluation folder; continues one that was killed.

    Args:
        output: where it goes.
        models: that answer. Where several processes share the prompts, no partial samples are kept.
        prompts: to answer.
        experiment: its settings.
        on_event: called with progress.
        known: the answers, where they need not be sampled.
    """

    def open_partial_samples(sampling: Mapping[str, Any]) -> evaluations.PartialSamples:
        return evaluations.PartialSamples(output.folder, {**output.about, **sampling})

    settings, group = experiment.evaluation, models.process_group
    alone = group is None or group.world_size == 1
    with evaluations.sole_evaluation(output.folder, wait=group is not None):  # a training does not fail because of it
        samples = known
        if samples is None:
            samples = sample_answers(models, prompts, settings, on_event, open_partial_samples if alone else None)
        if models.own_measures is not None:
            samples = with_own_measures(models.own_measures, prompts.prompts, samples, output.folder)
        evaluated = label_evaluation(
            output.folder, output.name, prompts.prompts, samples, experiment, partial=output.partial
        )
        is_whole = not output.partial and output.prompt_set == "eval"
        kept = {KEY: measured_capabilities(experiment, models, on_event)} if is_whole and tasks_of(experiment) else {}
        evaluated = replace(evaluated, capabilities=read_capabilities(kept))
        evaluations.write_evaluation(
            output.folder,
            samples,
            evaluated.labelled,
            evaluated.estimates(measures_shown(experiment, partial=output.partial)),
            RULES_VERSION,
            {
                **output.about,
                **kept,
                "partial": output.partial,
                "prompt_count": len(prompts),
                "samples_per_prompt": settings.samples_per_prompt,
                "max_new_tokens": settings.max_new_tokens,
                "temperature": settings.temperature,
                "seed": settings.seed,
            },
        )
    return evaluated


def sample_answers(
    models: AnsweringModels,
    prompts: TokenizedPrompts,
    settings: Evaluation,
    on_event: EventHandler,
    open_partial_samples: OpenPartialSamples | None = None,
) -> list[Sample]:
    """K seeded answers to each prompt, with the exact KL to the reference and the entropy of each first answer.

    Where several processes train together, each answers its shard of the prompts and all get all samples.

    Args:
        models: that answer.
        prompts: to answer; with several processes all of them, which are sharded here.
        settings: how to sample.
        on_event: called with progress.
        open_partial_samples: opens the file of answers so far, given what the answers depend on; None keeps none.
    """
    import torch

    from ppo_cli.evaluation.first_answer_fit import with_fit
    from ppo_cli.evaluation.resumable_sampling import sample_resumable
    from ppo_cli.models.exact_kl import exact_kl_and_entropy

    group = models.process_group
    if group is not None:
        prompts = prompts.only({prompt.id for prompt in group.shard(prompts.prompts)})
    # Sampling draws from random numbers of its own; the guard keeps a library's stray draw away from training.
    with torch.random.fork_rng():
        sampled = sample_resumable(models, prompts, settings, on_event, open_partial_samples)
        on_event(Phase(name="KL and entropy", total=len(prompts), unit="answers"))
        firsts = [(ids, rows[0].token_ids) for ids, rows in zip(prompts.token_ids, sampled, strict=True)]
        reference = None if models.policy == models.reference else models.reference
        with models.both():
            divergences = exact_kl_and_entropy(
                models.policy, reference, firsts, lambda done: on_event(Progress(done=done))
            )
    answered = [
        [
            Sample(
                prompt_id=prompt.id,
                index=index,
                answer=models.tokenizer.to_answer(row),
                kl=max(0.0, first.kl) if index == 0 else None,
                entropy=first.entropy if index == 0 else None,
            )
            for index, row in enumerate(rows)
        ]
        for prompt, rows, first in zip(prompts.prompts, sampled, divergences, strict=True)
    ]
    if models.fit_judge is not None:
        with models.both():
            answered = with_fit(models.fit_judge, prompts.prompts, answered, on_event)
    gathered = answered if group is None else group.gather(answered)
    return [sample for samples in gathered for sample in samples]


def _result(target: EvaluationTarget, evaluated: EvaluationData, baseline: EvaluationData | None) -> EvaluationResult:
    experiment = target.experiment
    measures = measures_shown(experiment, partial=evaluated.partial)
    comparison = compare_with_baseline(baseline, evaluated, experiment) if baseline else None
    return EvaluationResult(
        name=evaluated.name,
        goal=experiment.goal,
        folder=str(evaluated.folder),
        rules=RULES_VERSION,
        prompts=len(evaluated.prompts),
        samples_per_prompt=experiment.evaluation.samples_per_prompt,
        estimates=judged_estimates(evaluated.estimates(measures), evaluated.matrix, evaluated),
        comparison=with_judge_error(comparison, [baseline], [evaluated]) if baseline and comparison else None,
        rewarded_measures=measures_also_rewarded(experiment),
        human_labels=human_label_summary(experiment, evaluated, baseline),
        categories=by_category(evaluated.matrix, baseline.matrix if baseline else None, BY_CATEGORY),
        chosen_on=target.chosen_on,
        seed_noise=known_seed_noise(target.records.run, target.records.lock) if target.records else None,
        second_judge=agreement_share(evaluated.matrix),
    )
