"""The `ppo` command: parse, call one function of `commands`, print, turn errors into exit codes.

Not here: logic, and nothing heavy at import, so that `ppo --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

import ppo_cli
from ppo_cli.errors import ConditionMet, GateError, PpoError, UsageError
from ppo_cli.records.comparisons import Judged
from ppo_cli.records.events import Watcher
from ppo_cli.records.findings import Check
from ppo_cli.store.labels import Judgement

if TYPE_CHECKING:
    from ppo_cli.commands.label import Labelling

app = typer.Typer(
    name="ppo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A first PPO run that a person can trust: one frozen experiment, judged by how behaviour changed.",
    epilog="Start with: ppo train configs/refusal.yaml",
)

PIPE_WIDTH = 120
"""Columns of a screen that goes into a file or a pipe."""

LABEL_KEYS: dict[str, Judgement] = {"1": "comply", "2": "partial", "3": "refuse", "s": "skip"}

Config = Annotated[Path, typer.Argument(help="The experiment's YAML file.", metavar="CONFIG")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Changes to the file, such as kl.coef=0.05.", metavar="[KEY=VALUE]...")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")]
Output = Annotated[Path, typer.Option("--output", help="Folder that holds the run folders.")]


@app.command()
def init(
    recipe: Annotated[
        str,
        typer.Argument(
            help="refusal, concise, clarify, …; blank is the plainest start for your own.", metavar="RECIPE"
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Folder to write.", metavar="FOLDER")],
    goal: Annotated[str | None, typer.Option(help="What to align to, in one plain sentence.")] = None,
    from_csv: Annotated[
        Path | None,
        typer.Option("--from-csv", help="Train and evaluate on these prompts: CSV or JSONL.", metavar="FILE"),
    ] = None,
    from_dataset: Annotated[
        str | None, typer.Option("--from-dataset", help="The same from hf:NAME[:SPLIT] or a folder.", metavar="NAME")
    ] = None,
    eval_share: Annotated[
        float | None, typer.Option(help="Share of your own prompts that is kept for evaluation; 0.4 by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    fetch_model: Annotated[bool, typer.Option(help="Fetch the built-in start model now.")] = True,
    as_json: Json = False,
) -> None:
    """Write a commented config with prompts, and fetch the start model."""
    with _reported(as_json):
        from ppo_cli.commands import init as command
        from ppo_cli.report.beginning import init_screen

        loaded = command.recipe_named(recipe)
        command.refuse_existing(loaded, folder, force)
        own = command.own_of(from_csv, from_dataset, eval_share)
        if goal is None and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
            goal = _ask_goal(loaded.experiment.goal, _console())
        with _watching(as_json) as watcher:
            result = command.init(
                recipe, folder, goal=goal, own=own, force=force, fetch_model=fetch_model, watcher=watcher
            )
        _print(as_json, result, lambda: init_screen(result))


def _ask_goal(recipe_goal: str, console: Console) -> str | None:
    """Two short questions that make one sentence; None where the recipe's is kept."""
    from ppo_cli.commands.goal import phrase
    from ppo_cli.report import beginning

    try:
        console.print(beginning.goal_question(recipe_goal))
        situation = console.input(f"{beginning.SITUATION} > ").strip()
        behaviour = console.input(f"{beginning.BEHAVIOUR} > ").strip()
        if not behaviour and situation:
            behaviour = console.input(f"{beginning.BEHAVIOUR} > ").strip()
        if not behaviour:
            return None
        made = phrase(situation, behaviour)
        console.print(beginning.phrased(made))
        return console.input("> ").strip() or made
    except EOFError:
        return None


@app.command("sft-check")
def sft_check(
    subject: Annotated[
        str,
        typer.Argument(
            help="The experiment's YAML file; or a model alone: a folder, an id or builtin:NAME.",
            metavar="CONFIG|MODEL",
        ),
    ],
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """May PPO start from this model, with this reward, on these prompts?"""
    stopped = False
    with _reported(as_json):
        from ppo_cli.commands import sft_check as command
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.report.gate import gate_screen

        alone = command.is_a_model(subject)
        if alone and overrides:
            raise UsageError("A model alone has no keys that could be changed.", "Leave them out, or give a config.")
        loaded = None if alone else load_experiment(Path(subject), overrides or ())
        with _watching(as_json) as watcher:
            result = (
                command.sft_check(loaded, watcher=watcher) if loaded else command.check_model(subject, watcher=watcher)
            )
        _print(as_json, result, lambda: gate_screen(result))
        stopped = _stopped("PPO should not start", result.checks, as_json)
    if stopped:  # with --json it stands in the one document that was printed
        raise typer.Exit(GateError.exit_code)


@app.command()
def reward(config: Config, overrides: Overrides = None, as_json: Json = False) -> None:
    """Is the reward sound, what does it lean on, and can it be tricked?"""
    stopped = False
    with _reported(as_json):
        from ppo_cli.commands.reward import audit
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.report.gate import reward_screen

        loaded = load_experiment(config, overrides or ())
        with _watching(as_json) as watcher:
            result = audit(loaded, watcher=watcher)
        _print(as_json, result, lambda: reward_screen(result))
        stopped = _stopped("PPO should not start with this reward", result.checks, as_json)
    if stopped:
        raise typer.Exit(GateError.exit_code)


def _stopped(verdict: str, checks: Sequence[Check], as_json: bool) -> bool:
    stops = [check.name for check in checks if check.outcome == "stop"]
    if stops and not as_json:
        raise GateError(f"{verdict}: {', '.join(stops)}.", "Mend what is marked stop above.")
    return bool(stops)


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(help="The experiment's YAML file.", metavar="[CONFIG]")] = None,
    overrides: Overrides = None,
    resume: Annotated[str | None, typer.Option(help="Continue this run where it stopped.", metavar="RUN")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run and what it costs, and stop.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Repeat an experiment that has a run already.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Train although the gate says stop.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder that holds the run folders, in place of the config's.")
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", help="Processes that train together on this machine, a GPU each.")
    ] = 1,
    parent: Annotated[
        str | None, typer.Option(help="The run that this one varies, within what its round lets move.", metavar="RUN")
    ] = None,
    vary: Annotated[
        list[str] | None, typer.Option(help="Run one arm for each value.", metavar="KEY=VALUE,VALUE,…")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Repeat every arm with so many seeds.", metavar="N")] = None,
    as_json: Json = False,
) -> None:
    """Freeze, train, evaluate against step 0, and say what happened."""
    if vary or seeds is not None:
        idle = [("--resume", resume), ("--again", again), ("--processes", processes != 1)]
        changes = [*(overrides or []), *([f"parent={parent}"] if parent is not None else [])]
        _train_arms(config, changes, vary or [], seeds, output, force, dry_run, idle, as_json)
        return
    with _reported(as_json):
        changes = [str(config), *(overrides or [])] if resume is not None and config is not None else []
        if (config is None and resume is None) or (changes and "=" not in changes[0]):
            raise UsageError("Give either a config or --resume RUN.", "Example: ppo train configs/refusal.yaml")
        if resume is not None and (again or force):
            raise UsageError(
                "--resume continues a run as it was begun, so --again and --force would have no effect.",
                "Leave them out.",
            )
        if resume is not None and parent is not None:
            raise UsageError("--resume continues a run with the parent it has.", "Leave --parent out.")
        overrides = [*(overrides or []), *([f"parent={parent}"] if parent is not None else [])]
        from ppo_cli.report import screens

        if dry_run:
            _dry_run(None if resume else config, overrides or [], output, as_json)
            return
        from ppo_cli.commands import train as command
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.store.runs import find_run

        folder = output or Path("runs")
        loaded = None if resume is not None else load_experiment(config or Path(), overrides or ())
        experiment = find_run(resume or "", folder).verify()[0] if loaded is None else loaded.experiment
        from ppo_cli.commands.together import take_part

        team = take_part(experiment.device, processes, main)
        with _watching(as_json) as watcher:
            if loaded is None:
                result = command.resume(resume or "", output=folder, overrides=changes, watcher=watcher, team=team)
            else:
                result = command.train(loaded, output=output, again=again, force=force, watcher=watcher, team=team)
        _print(as_json, result, lambda: screens.training_screen(result))


def _train_arms(
    config: Path | None,
    overrides: list[str],
    vary: list[str],
    seeds: int | None,
    output: Path | None,
    force: bool,
    dry_run: bool,
    idle: list[tuple[str, Any]],
    as_json: bool,
) -> None:
    failed: list[int] = []
    with _reported(as_json):
        from ppo_cli.commands.arms import plan
        from ppo_cli.report import dose

        _refuse_with_arms([name for name, given in idle if given])
        if config is None:
            raise UsageError("Several arms need a config.", "Example: ppo train configs/refusal.yaml --seeds 3")
        planned = plan(config, overrides, vary=vary, seeds=1 if seeds is None else seeds, output=output, force=force)
        from ppo_cli.commands import vary as command

        if dry_run:
            shown = command.preview(planned)
            _print(as_json, shown, lambda: dose.planned_screen(shown))
            return
        with _watching(as_json) as watcher:
            result = command.vary(planned, force=force, watcher=watcher)
        _print(as_json, result, lambda: dose.vary_screen(result))
        failed = [arm.exit_code for arm in result.arms if arm.problem]
        if failed and not as_json:
            error = PpoError(
                f"{len(failed)} of {len(result.arms)} arms failed; they are named above.",
                f"Mend what they name, then type again: {result.command}",
            )
            error.exit_code = max(failed)
            raise error
    if failed:  # with --json the arms say why, in the one document that was printed
        raise typer.Exit(max(failed))


def _refuse_with_arms(given: list[str]) -> None:
    if os.environ.get("RANK"):
        given = [*given, "A launcher of several processes"]
    if given:
        raise UsageError(
            f"{given[0]} does not go with --vary and --seeds, whose arms run one after another in one process.",
            "Leave it out; an arm that was run by itself, with --processes say, is used and not run twice.",
        )


def _dry_run(config: Path | None, overrides: list[str], output: Path | None, as_json: bool) -> None:
    if config is None:
        raise UsageError("A dry run needs a config.", "Example: ppo train configs/refusal.yaml --dry-run")
    from ppo_cli.commands.dry_run import dry_run
    from ppo_cli.experiment.load import load_experiment
    from ppo_cli.report import screens

    planned = dry_run(load_experiment(config, overrides), output=output)
    _print(as_json, planned, lambda: screens.dry_run_screen(planned))


@app.command("eval")
def evaluate(
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="A checkpoint, RUN/best, RUN/last, a model folder, an id or builtin:NAME; several, or a run, for one "
            "table of them."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings for a model that belongs to no run.")] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Other prompts: JSONL, CSV, or hf:NAME[:SPLIT]; XSTest, CoCoNot, AdvBench.")
    ] = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Measure the answers that are there by the rules of today.")
    ] = False,
    answers: Annotated[
        Path | None, typer.Option(help="Answers made elsewhere, JSONL or CSV: id, prompt, answer.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the labels of --answers go.")] = None,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure the behaviour of a checkpoint, a model, a whole run, or answers made elsewhere."""
    with _reported(as_json):
        if (answers is None) == (not checkpoint):
            raise UsageError("Give either --checkpoint or --answers.", "Example: ppo eval --checkpoint runs/RUN/last")
        idle = [("--config", config), ("--prompts", prompts), ("--rescore", rescore)] if answers else [("--out", out)]
        if without_effect := [name for name, value in idle if value]:
            raise UsageError(
                f"{without_effect[0]} has no effect {'with' if answers else 'without'} --answers.", "Leave it out."
            )
        if answers is not None:
            _evaluate_answers(answers, out, as_json)
        else:
            _evaluate_models(checkpoint or [], config, prompts, rescore, output, as_json)


def _evaluate_answers(answers: Path, out: Path | None, as_json: bool) -> None:
    from ppo_cli.commands.answers import score_answers
    from ppo_cli.report.evaluations import answers_screen

    result = score_answers(answers, out=out)
    _print(as_json, result, lambda: answers_screen(result))


def _evaluate_models(
    checkpoints: list[str], config: Path | None, prompts: str | None, rescore: bool, output: Path, as_json: bool
) -> None:
    from ppo_cli.commands import checkpoints as several
    from ppo_cli.commands import evaluate as command
    from ppo_cli.report import evaluations, screens

    if len(checkpoints) > 1 or several.is_a_run(checkpoints[0], output):
        if config is not None:
            raise UsageError("--config has no effect on checkpoints of a run, which brings its own.", "Leave it out.")
        with _watching(as_json) as watcher:
            table = several.evaluate_checkpoints(
                checkpoints, prompts=prompts, rescore=rescore, output=output, watcher=watcher
            )
        _print(as_json, table, lambda: evaluations.checkpoints_screen(table))
        return
    with _watching(as_json) as watcher:
        result = command.evaluate(
            checkpoints[0], config=config, prompts=prompts, rescore=rescore, output=output, watcher=watcher
        )
    _print(as_json, result, lambda: screens.evaluation_screen(result))


@app.command()
def label(
    run: Annotated[str, typer.Argument(help="A finished run, by name or path.", metavar="RUN")],
    answers: Annotated[int, typer.Option(help="Answers to label, 60 to 120.")] = 80,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """Label answers of a run blind; the labels then count before the rule's."""
    with _reported(as_json):
        from ppo_cli.commands.label import begin_labelling, hand_labels
        from ppo_cli.report.labelling import hand_labels_block

        labelling = begin_labelling(run, answers=answers, output=output)
        _ask(labelling, _console(stderr=as_json))
        found = hand_labels(labelling.run, labelling.last)
        left = sum(item.place not in labelling.given for item in labelling.items)
        if left:
            _console(stderr=True).print(f"{left} answers are left; go on with: ppo label {run}", markup=False)
        _print(as_json, found, lambda: hand_labels_block(found) if found else "Nothing to compare yet.")


def _ask(labelling: Labelling, console: Console) -> None:
    """Shows answer after answer and saves what is typed, until the last or until the person leaves off."""
    from ppo_cli.report.labelling import MEANING, card

    console.print(MEANING, style="dim")
    while (item := labelling.current) is not None:
        shown = card(labelling.position + 1, len(labelling.items), item.prompt.text, item.sample.answer)
        console.print(shown)
        key = ""
        while key not in LABEL_KEYS and key not in ("b", "q"):
            try:
                key = console.input("> ").strip().lower()
            except EOFError:
                key = "q"
        if key == "q":
            return
        if key == "b":
            labelling.back()
        else:
            labelling.give(LABEL_KEYS[key])


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Two or more runs, by name or path; the first is the base.", metavar="RUN...")
    ],
    allow_confounded: Annotated[
        bool, typer.Option("--allow-confounded", help="Compare although more than one variable differs.")
    ] = False,
    on_common: Annotated[
        bool, typer.Option("--on-common", help="Of evaluation sets that differ, compare the prompts in both.")
    ] = False,
    allow: Annotated[
        list[str] | None, typer.Option(help="Compare although this differs: rendered.", metavar="GROUP")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with 100 if this holds: 'refusal.safe > 0.2' of the last run, 'change(refusal.safe) > 10%' of "
            "its change. May be given more than once.",
            metavar="CONDITION",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write two runs, or two arms of seeds, as a page.", metavar="FILE")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print the result as Markdown.")] = False,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """May runs be compared, what differs, and what changed in behaviour? Runs that differ in the seed are one arm."""
    met: list[Judged] = []
    with _reported(as_json):
        if as_json and as_markdown:
            raise UsageError("--json and --md are two ways to print one result.", "Leave one out.")
        from ppo_cli.commands import compare as command
        from ppo_cli.report import screens

        if html is not None:
            from ppo_cli.commands.report import refuse_unless_two

            refuse_unless_two(runs, output)
        results = command.compare(
            runs,
            output=output,
            allow_confounded=allow_confounded,
            on_common=on_common,
            allow=allow or (),
            fail_if=fail_if or (),
        )
        if as_markdown:
            from ppo_cli.report.markdown import comparison_markdown

            typer.echo(comparison_markdown(results), nl=False)
        else:
            _print(as_json, results, lambda: screens.comparison_screen(results))
        if html is not None:
            from ppo_cli.commands.report import report_comparison

            written = report_comparison(results[0], runs, output=output, html=html)
            _console(stderr=as_json or as_markdown).print(screens.report_screen(written))
        met = [found for found in results[-1].fail_if if found.failed]
        if met and not as_json:
            from ppo_cli.report.wording import judged

            raise ConditionMet(f"--fail-if: {'; '.join(map(judged, met))}.", "Read the flipped answers above.")
    if met:  # with --json it stands in the one document that was printed
        raise typer.Exit(ConditionMet.exit_code)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A finished run, by name or path.", metavar="RUN")],
    html: Annotated[
        Path | None, typer.Option("--html", help="File to write; RUN/reports/report.html by default.", metavar="FILE")
    ] = None,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a run against its own step 0 as an HTML page that stands alone."""
    with _reported(as_json):
        from ppo_cli.commands.report import report_run
        from ppo_cli.report import screens

        written = report_run(run, output=output, html=html)
        _print(as_json, written, lambda: screens.report_screen(written))


@app.command("runs")
def list_runs(
    only_changed: Annotated[
        bool, typer.Option("--only-changed", help="A column for each key that differs, and nothing else.")
    ] = False,
    sort: Annotated[
        str, typer.Option(help="started, a key (smaller first) or a measure (better first).", metavar="WHAT")
    ] = "started",
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """List runs as a tree of parents and variations: how they ended, and which keys differ."""
    with _reported(as_json):
        from ppo_cli.commands.runs import differing_keys, runs
        from ppo_cli.report import screens

        rows = runs(output, sort=sort, only_changed=only_changed)
        screen = screens.changed_screen if only_changed else screens.runs_screen
        _print(as_json, rows, lambda: screen(rows, differing_keys(rows), str(output)))


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run, by name or path.", metavar="RUN")],
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """One run's story in one screen: what was changed, what came of it, what to do next."""
    with _reported(as_json):
        from ppo_cli.commands.show import show as command
        from ppo_cli.report.story import story_screen

        story = command(run, output=output)
        _print(as_json, story, lambda: story_screen(story))


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    """A first PPO run that a person can trust."""
    if version:
        typer.echo(f"ppo {ppo_cli.__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `ppo` script."""
    if not os.environ.get("PPO_DEBUG"):
        warnings.filterwarnings("ignore")  # libraries warn their developers; our own notices are not warnings
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    app()


@contextmanager
def _reported(as_json: bool) -> Iterator[None]:
    """Turns every way of failing into one sentence and an exit code."""
    try:
        yield
    except PpoError as error:
        _report_error(error.message, error.next_step, error.exit_code, as_json)
    except KeyboardInterrupt:
        _report_error("Interrupted.", "", 130, as_json)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(1) from None
    except Exception as error:  # noqa: BLE001 - the last resort, so that a bug still has an exit code
        traceback.print_exc()
        _report_error(f"Internal error: {type(error).__name__}: {error}", "Please report it.", 1, as_json)


def _report_error(message: str, next_step: str, code: int, as_json: bool) -> None:
    if os.environ.get("RANK", "0") != "0":  # one of several processes; the first tells of it
        raise typer.Exit(code) from None
    if as_json:
        typer.echo(json.dumps({"error": message, "next_step": next_step, "exit_code": code}, ensure_ascii=False))
    else:
        console = _console(stderr=True)
        console.print("error: ", style="bold red", end="", highlight=False)
        console.print(message, markup=False, highlight=False, soft_wrap=True)
        if next_step:
            console.print(f"  → {next_step}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code) from None


@contextmanager
def _watching(as_json: bool) -> Iterator[Watcher]:
    """The live view on a terminal, plain lines elsewhere; on stderr when stdout carries JSON."""
    from ppo_cli.report.live import LiveView
    from ppo_cli.report.plain import PlainLines

    console = _console(stderr=as_json)
    if console.is_terminal and not console.is_dumb_terminal:
        with LiveView(console) as view:
            yield view
    else:
        yield PlainLines(lambda line: print(line, file=console.file, flush=True))


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


def _print(as_json: bool, result: Any, screen: Callable[[], Any]) -> None:  # noqa: ANN401
    if as_json:
        typer.echo(json.dumps(_plain(result), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _console().print(screen())


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Records as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
