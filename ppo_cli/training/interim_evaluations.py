"""Evaluations of a run during training: step 0, every N updates, and the final one; checks alarms, tracks the best.

Step 0 is sampled once for all runs that would sample the same: its answers are kept in the cache.

Not here: how a policy is evaluated (`evaluation.evaluate`), the alarms (`alarms`), the rule for the best checkpoint
(`best_checkpoint`), the cache (`models.shared_answers`).
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from ppo_cli.engine.checkpoints import prune_checkpoints
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.policy import Policy
from ppo_cli.evaluation import run_alarms
from ppo_cli.evaluation.answering_models import AnsweringModels
from ppo_cli.evaluation.evaluate import EvaluationOutput, run_evaluation
from ppo_cli.evaluation.evaluation_data import EvaluationData, compare_with_baseline, measures_shown
from ppo_cli.evaluation.judge_error import with_judge_error
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.models.shared_answers import SharedAnswers
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.events import AlarmsChecked, EvaluationDone, EventHandler, Notice
from ppo_cli.records.measures import Estimate, Sample
from ppo_cli.records.reasoning import after_reasoning
from ppo_cli.records.training import BestCheckpoint
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.store.answer_rows import sample_from_row, sample_to_row
from ppo_cli.store.evaluations import is_complete, read_samples
from ppo_cli.training.best_checkpoint import best_of, primary_value
from ppo_cli.training.worker_commands import WorkerCommand

MAX_EXAMPLES = 2
STEP_0 = "answers of step 0"
"""What the cache calls them."""


class InterimEvaluations:
    """The evaluations of one run, each compared with step 0."""

    def __init__(
        self,
        records: RunRecords,
        resolved: ResolvedExperiment,
        policy: Policy,
        process_group: ProcessGroup,
        shared: SharedAnswers,
        on_event: EventHandler,
    ) -> None:
        """Chooses the interim prompts; nothing is evaluated yet.

        Args:
            records: of the run, which gets the evaluations.
            resolved: settings and prompts.
            policy: that is trained.
            process_group: each rank answers a shard.
            shared: answers of the start model in the cache.
            on_event: called with progress and results.
        """
        self.records, self.run = records, records.run
        self.resolved, self.experiment = resolved, resolved.experiment
        self.policy, self.process_group, self.shared, self.on_event = policy, process_group, shared, on_event
        subset = stratified_subset(resolved.evaluation.prompts, self.experiment.evaluation.interim_prompts)
        self.interim = resolved.evaluation.only({prompt.id for prompt in subset})
        self.values: dict[int, float | None] = {}
        """The primary measure on the interim prompts, by update."""
        self._baseline: EvaluationData | None = None

    @property
    def baseline(self) -> EvaluationData:
        """The evaluation of step 0."""
        if self._baseline is None:
            raise RuntimeError("step 0 has not been evaluated yet")
        return self._baseline

    def evaluate_baseline(self) -> EvaluationData:
        """Evaluates step 0, or reads its evaluation if the run has it."""
        self._baseline = self._evaluate(0, partial=False)
        return self._baseline

    def is_due(self, update: int) -> bool:
        """Whether an interim evaluation follows this update."""
        every = self.experiment.evaluation.every
        return bool(every and update and update % every == 0 and update != self.experiment.ppo.updates)

    def is_missing(self, update: int) -> bool:
        """Whether one is due but not there, since the run was killed between a checkpoint and its evaluation."""
        return self.is_due(update) and not is_complete(self.run.layout.evaluation(update))

    def evaluate_interim(self, update: int) -> None:
        """Evaluates the policy between two updates, on the interim prompts."""
        partial = len(self.interim) < len(self.resolved.evaluation)
        evaluated = self._evaluate(update, partial=partial)
        comparison = self._report(update, evaluated)
        self._check_alarms(update, evaluated, comparison, last=False)
        self._update_best(update, evaluated)
        self.prune()

    def restore(self, updates_done: int) -> None:
        """Takes the evaluations from before an interruption into the alarms and the choice of the best again."""
        for step in filter(self.is_due, range(updates_done + 1)):
            if is_complete(self.run.layout.evaluation(step)):
                evaluated = self.records.evaluation(step)
                comparison = compare_with_baseline(self.baseline, evaluated, self.experiment)
                findings = run_alarms.check_alarms(self.records, self.baseline, evaluated, comparison, step)
                run_alarms.save(self.run, step, findings, last=False)
                self._update_best(step, evaluated)

    def evaluate_final(self, step: int) -> EvaluationData:
        """Evaluates the policy at the end of training, on all evaluation prompts."""
        return self._evaluate(step, partial=False)

    def finish(self, step: int, final: EvaluationData) -> tuple[Comparison, run_alarms.Findings]:
        """Compares the final evaluation with step 0 and checks the alarms a last time."""
        comparison = self._report(step, final)
        findings = self._check_alarms(step, final, comparison, last=True)
        self._update_best(step, final)
        self.prune()
        return with_judge_error(comparison, [self.baseline], [final]), findings

    def best(self) -> BestCheckpoint | None:
        """The best checkpoint so far."""
        return best_of(self.values, self.experiment.evaluation.primary, len(self.interim))

    def estimates(self, evaluated: EvaluationData) -> tuple[Estimate, ...]:
        """The measures that screens and trackers show of an evaluation."""
        return evaluated.estimates(measures_shown(self.experiment, partial=evaluated.partial))

    def prune(self) -> None:
        """Removes the checkpoints that are neither among the newest nor the best."""
        best = self.best()
        keep = self.experiment.checkpoints.keep
        prune_checkpoints(self.run.layout, keep=keep, best=best.step if best else None)

    def _evaluate(self, step: int, *, partial: bool) -> EvaluationData:
        prompts = self.interim if partial else self.resolved.evaluation
        folder = self.run.layout.evaluation(step)
        if step == 0 and is_complete(folder):
            return self.records.evaluation(0)
        name = f"step {step}"
        known = self._shared_step_0() if step == 0 else None
        if known is None:
            self.on_event(Notice(text=f"Evaluating {name} on {len(prompts)} prompts."))
            self.process_group.broadcast(WorkerCommand.EVALUATE, step, [prompt.id for prompt in prompts.prompts])
        checkpoint = f"{self.run.name}/step-{step:06d}"
        evaluated = run_evaluation(
            EvaluationOutput(
                folder=folder,
                name=name,
                checkpoint=checkpoint,
                partial=partial,
                policy=self.records.policy_at(step),
            ),
            AnsweringModels.at_step(self.policy, step, self.resolved, self.process_group),
            prompts,
            self.experiment,
            self.on_event,
            known,
        )
        if step == 0 and known is None:
            rows = [sample_to_row(replace(sample, own={})) for sample in read_samples(folder)]  # another run has others
            self.shared.keep(STEP_0, self._step_0_depends_on(), rows)
        return evaluated

    def _shared_step_0(self) -> list[Sample] | None:
        """The answers of step 0 as an earlier run sampled them, where the cache has them."""
        rows = self.shared.find(STEP_0, self._step_0_depends_on())
        return None if rows is None else [sample_from_row(row) for row in rows]

    def _step_0_depends_on(self) -> dict[str, Any]:
        """What the answers of step 0, with KL, entropy and fit, depend on besides the model that gives them."""
        settings = self.experiment.evaluation
        return {
            "samples_per_prompt": settings.samples_per_prompt,
            "max_new_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed,
            "prompts": sha256_of([[asdict(prompt), ids] for prompt, ids in self.resolved.evaluation]),
        }

    def _report(self, step: int, evaluated: EvaluationData) -> Comparison:
        comparison = compare_with_baseline(self.baseline, evaluated, self.experiment)
        self.on_event(
            EvaluationDone(
                step=step,
                estimates=self.estimates(evaluated),
                comparison=comparison,
                partial=evaluated.partial,
                examples=_examples(comparison, self.baseline, evaluated),
            )
        )
        return comparison

    def _check_alarms(
        self, step: int, evaluated: EvaluationData, comparison: Comparison, *, last: bool
    ) -> run_alarms.Findings:
        """Checks all alarms and saves the findings."""
        findings = run_alarms.check_alarms(self.records, self.baseline, evaluated, comparison, step)
        run_alarms.save(self.run, step, findings, last=last)
        self.on_event(AlarmsChecked(step=step, alarms=findings.alarms))
        return findings

    def _update_best(self, step: int, evaluated: EvaluationData) -> None:
        """Takes an evaluation into the choice of the best checkpoint, and records the best so far."""
        prompt_ids = {prompt.id for prompt in self.interim.prompts}
        self.values[step] = primary_value(evaluated, prompt_ids, self.experiment.evaluation.primary)
        best = self.best()
        self.run.update_state(best_step=best.step if best else None)


def _examples(
    comparison: Comparison, baseline: EvaluationData, evaluated: EvaluationData
) -> tuple[tuple[str, str, str], ...]:
    """(prompt, answer at step 0, answer now) of the largest changes; the first prompts if nothing changed."""
    if comparison.flips:
        return tuple((flip.prompt, flip.before_answer, flip.after_answer) for flip in comparison.flips[:MAX_EXAMPLES])
    before, after = (
        {
            row.prompt.id: after_reasoning(row.labels.get("reasoning_words", 0), row.sample.answer.text)
            for row in reversed(data.labelled)
        }
        for data in (baseline, evaluated)
    )
    prompts = list(evaluated.prompts.values())[:MAX_EXAMPLES]
    return tuple((prompt.text, before.get(prompt.id, ""), after[prompt.id]) for prompt in prompts)
