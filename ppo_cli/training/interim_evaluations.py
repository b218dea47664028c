"""The evaluations of a run while it trains: step 0, the looks in between, the last; alarms, and which step was best.

Not here: how a policy is evaluated (`evaluate`), what rings (`alarms`).
"""

from __future__ import annotations

from ppo_cli.engine.checkpoints import prune_checkpoints
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.policy import Policy
from ppo_cli.evaluation import run_alarms
from ppo_cli.evaluation.evaluate import (
    EvaluationData,
    compare_with_baseline,
    policy_at_step,
    read_evaluation,
    run_evaluation,
)
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.events import AlarmsChecked, EvaluationDone, EventHandler, Notice
from ppo_cli.records.training import BestCheckpoint
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.runs import Run
from ppo_cli.training.best_checkpoint import best_of, primary_value
from ppo_cli.training.worker_commands import EVALUATE

EXAMPLES_SHOWN = 2


class InterimEvaluations:
    """How the policy of one run behaves, step by step, against step 0."""

    def __init__(
        self,
        run: Run,
        experiment: Experiment,
        resolved: ResolvedExperiment,
        policy: Policy,
        process_group: ProcessGroup,
        on_event: EventHandler,
    ) -> None:
        """Evaluates step 0, unless it has been."""
        self.run, self.experiment, self.resolved = run, experiment, resolved
        self.policy, self.process_group, self.on_event = policy, process_group, on_event
        self.interim = stratified_subset(resolved.inputs.evaluation, experiment.evaluation.interim_prompts)
        self.values: dict[int, float | None] = {}
        """The primary measure on the interim prompts, by update."""
        self.baseline = self._evaluate(0, partial=False)

    def is_due(self, update: int) -> bool:
        """Whether an interim evaluation follows this update."""
        every = self.experiment.evaluation.every
        return bool(every and update and update % every == 0 and update != self.experiment.ppo.updates)

    def is_missing(self, update: int) -> bool:
        """Whether one is due and was not made, since the run was killed between a checkpoint and its evaluation."""
        return self.is_due(update) and not is_complete(self.run.layout.evaluation(update))

    def evaluate_interim(self, update: int) -> None:
        """Evaluates the policy between two updates, on the interim prompts."""
        partial = len(self.interim) < len(self.resolved.inputs.evaluation)
        evaluated = self._evaluate(update, partial=partial)
        comparison = self._report(update, evaluated)
        self._check_alarms(update, evaluated, comparison, last=False)
        self._update_best(update, evaluated)
        self.prune()

    def restore(self, updates_done: int) -> None:
        """Takes the looks that were made before an interruption into the choice and into the alarms again."""
        for step in filter(self.is_due, range(updates_done + 1)):
            folder = self.run.layout.evaluation(step)
            if is_complete(folder):
                evaluated = read_evaluation(folder, self.resolved.inputs.evaluation, f"step {step}")
                comparison = compare_with_baseline(self.baseline, evaluated, self.experiment)
                found = run_alarms.check_alarms(self.run, self.baseline, evaluated, comparison, step)
                run_alarms.save(self.run, step, found, last=False)
                self._update_best(step, evaluated)

    def evaluate_final(self, step: int) -> EvaluationData:
        """Evaluates the policy at the end of its training."""
        return self._evaluate(step, partial=False)

    def finish(self, step: int, final: EvaluationData) -> tuple[Comparison, run_alarms.Findings]:
        """What the last evaluation shows against step 0, and what rings."""
        comparison = self._report(step, final)
        found = self._check_alarms(step, final, comparison, last=True)
        self._update_best(step, final)
        self.prune()
        return comparison, found

    def best(self) -> BestCheckpoint | None:
        """The best of the looks so far."""
        return best_of(self.values, self.experiment.evaluation.primary, len(self.interim))

    def prune(self) -> None:
        """Removes the checkpoints that are neither among the newest nor the best."""
        best = self.best()
        keep = self.experiment.checkpoints.keep
        prune_checkpoints(self.run.layout, keep=keep, best=best.step if best else None)

    def _evaluate(self, step: int, *, partial: bool) -> EvaluationData:
        prompts = self.interim if partial else self.resolved.inputs.evaluation
        folder = self.run.layout.evaluation(step)
        name = f"step {step}"
        if step == 0 and is_complete(folder):
            return read_evaluation(folder, prompts, name)
        self.on_event(Notice(text=f"Evaluating {name} on {len(prompts)} prompts."))
        self.process_group.broadcast(EVALUATE, step, [prompt.id for prompt in prompts])
        return run_evaluation(
            folder,
            policy_at_step(self.policy, step),
            self.policy.reference_model,
            self.resolved.tokenizer,
            prompts,
            self.experiment,
            name=name,
            about={"checkpoint": f"{self.run.name}/step-{step:06d}", "prompts": "eval"},
            partial=partial,
            on_event=self.on_event,
            process_group=self.process_group,
        )

    def _report(self, step: int, evaluated: EvaluationData) -> Comparison:
        comparison = compare_with_baseline(self.baseline, evaluated, self.experiment)
        self.on_event(
            EvaluationDone(
                step=step,
                estimates=evaluated.estimates,
                comparison=comparison,
                partial=evaluated.partial,
                examples=_examples(comparison, self.baseline, evaluated),
            )
        )
        return comparison

    def _check_alarms(
        self, step: int, evaluated: EvaluationData, comparison: Comparison, *, last: bool
    ) -> run_alarms.Findings:
        """Looks whether an alarm rings, and keeps what was found."""
        found = run_alarms.check_alarms(self.run, self.baseline, evaluated, comparison, step)
        run_alarms.save(self.run, step, found, last=last)
        self.on_event(AlarmsChecked(step=step, alarms=found.alarms))
        return found

    def _update_best(self, step: int, evaluated: EvaluationData) -> None:
        """Takes an evaluation into the choice of the best checkpoint, and records the best so far."""
        self.values[step] = primary_value(evaluated, self.interim, self.experiment.evaluation.primary)
        best = self.best()
        self.run.update_state(best=best.step if best else None)


def _examples(
    comparison: Comparison, baseline: EvaluationData, evaluated: EvaluationData
) -> tuple[tuple[str, str, str], ...]:
    """Prompts whose answer moved most; where none did, the first ones."""
    if comparison.flips:
        return tuple((flip.prompt, flip.before_answer, flip.after_answer) for flip in comparison.flips[:EXAMPLES_SHOWN])
    before = {row.prompt_id: row.answer for row in reversed(baseline.samples)}
    after = {row.prompt_id: row.answer for row in reversed(evaluated.samples)}
    chosen = list(evaluated.prompts.values())[:EXAMPLES_SHOWN]
    return tuple((prompt.text, before.get(prompt.id, ""), after[prompt.id]) for prompt in chosen)
