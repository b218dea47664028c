"""`ppo eval`: its options and one call.

Not here: sampling and measuring (`evaluation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.completion import complete_checkpoint, complete_config
from ppo_cli.cli.output import Json, RunsDir, StartFolder, TrustCode, error_boundary, progress_view, show_result
from ppo_cli.errors import UsageError
from ppo_cli.records.program import command

EXAMPLES = (("runs/RUN",), ("--checkpoint", "runs/RUN/best", "--prompts", "my-prompts.jsonl"))


@dataclass(frozen=True, kw_only=True)
class _Targets:
    """The checkpoints to evaluate, as typed."""

    checkpoints: list[str]
    config: Path | None
    prompts: str | None
    rescore: bool
    runs_dir: Path
    start: Path | None
    trust_code: bool


def evaluate(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run, of which the last checkpoint is evaluated; or a checkpoint.",
            metavar="RUN",
            autocompletion=complete_checkpoint,
        ),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="RUN/best, RUN/last, RUN/step-N, a checkpoint or model folder, a Hugging Face id or builtin:NAME. "
            "Several checkpoints of a run, or the run itself for all of them, give one table.",
            metavar="CHECKPOINT",
            autocompletion=complete_checkpoint,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings for a model that belongs to no run.", metavar="CONFIG", autocompletion=complete_config
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help="Other prompts: a file in any form or hf:NAME[:SPLIT], also in the formats of XSTest, CoCoNot and "
            "AdvBench.",
            metavar="PROMPTS",
        ),
    ] = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Re-score existing answers with the current rules; generates nothing.")
    ] = False,
    answers: Annotated[
        Path | None,
        typer.Option(help="Score answers from elsewhere: a file with prompt and answer.", metavar="FILE"),
    ] = None,
    labels_file: Annotated[Path | None, typer.Option(help="File for the labels of --answers.", metavar="FILE")] = None,
    start: StartFolder = None,
    trust_code: TrustCode = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure the behaviour of checkpoints, models or answers.

    A checkpoint of a run is compared with the run's step 0. Answers and scores are stored separately.
    """
    with error_boundary(as_json):
        if [run is not None, bool(checkpoint), answers is not None].count(True) != 1:
            example = command("eval", "runs/RUN")
            raise UsageError("Give either a run, --checkpoint or --answers.", f"Example: {example}")
        model_options = [("--config", config), ("--prompts", prompts), ("--rescore", rescore)]
        model_options += [("--start", start), ("--trust-code", trust_code)]
        idle = model_options if answers else [("--labels-file", labels_file)]
        if without_effect := [name for name, value in idle if value]:
            raise UsageError(
                f"{without_effect[0]} has no effect {'with' if answers else 'without'} --answers.", "Leave it out."
            )
        if answers is not None:
            _evaluate_answers(answers, labels_file, as_json)
            return
        from ppo_cli.store.checkpoint_names import last_checkpoint_of

        targets = _Targets(
            checkpoints=checkpoint or [last_checkpoint_of(run or "", runs_dir)],
            config=config,
            prompts=prompts,
            rescore=rescore,
            runs_dir=runs_dir,
            start=start,
            trust_code=trust_code,
        )
        _evaluate_checkpoints(targets, as_json)


def _evaluate_answers(answers: Path, labels_file: Path | None, as_json: bool) -> None:
    from ppo_cli.evaluation.external_answers import score_answers
    from ppo_cli.reports.screens.evaluate import answers_screen

    result = score_answers(answers, labels_file=labels_file)
    show_result(as_json, result, lambda: answers_screen(result))


def _evaluate_checkpoints(targets: _Targets, as_json: bool) -> None:
    from ppo_cli.evaluation.checkpoint_curve import evaluate_checkpoints, names_a_run
    from ppo_cli.evaluation.evaluate import evaluate as evaluate_one
    from ppo_cli.reports.screens.evaluate import checkpoint_curve_screen, evaluation_screen
    from ppo_cli.setup.own_runs import ReceivedRunOptions

    first, prompts, rescore, runs_dir = targets.checkpoints[0], targets.prompts, targets.rescore, targets.runs_dir
    received = ReceivedRunOptions(start=targets.start, trust_code=targets.trust_code)
    if len(targets.checkpoints) > 1 or names_a_run(first, runs_dir):
        if targets.config is not None:
            raise UsageError("--config has no effect on checkpoints of a run, which has its own.", "Leave it out.")
        with progress_view(as_json) as on_event:
            curve = evaluate_checkpoints(
                targets.checkpoints,
                prompts=prompts,
                rescore=rescore,
                runs_dir=runs_dir,
                received=received,
                on_event=on_event,
            )
        show_result(as_json, curve, lambda: checkpoint_curve_screen(curve))
        return
    with progress_view(as_json) as on_event:
        result = evaluate_one(
            first,
            config=targets.config,
            prompts=prompts,
            rescore=rescore,
            runs_dir=runs_dir,
            received=received,
            on_event=on_event,
        )
    show_result(as_json, result, lambda: evaluation_screen(result))
