"""The screens that end a command: each a function from an outcome record to something Rich can print.

Order everywhere: what happened in plain words, behaviour, the prompts that moved, KL and reward, what this cannot
say, what to type next. The loss is last.

Not here: live views, numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from ppo_cli.behaviours.measures import MEASURES, measure_named
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.results import (
    ComparisonResult,
    DryRunResult,
    EvaluationResult,
    ReportResult,
    RunRow,
    TrainingResult,
)
from ppo_cli.report import formatting, seed_table
from ppo_cli.report.alarms import advice_line, alarm_block, alarms_of_runs
from ppo_cli.report.run_tree import family_tree
from ppo_cli.report.screens.evaluate import category_table
from ppo_cli.report.screens.label import human_labels_block
from ppo_cli.report.tables import (
    WideOrStacked,
    behaviour_table,
    details_table,
    estimate_table,
    footnotes,
    plain_table,
    plain_text,
    side_by_side,
)

FLIPS_SHOWN = 4
FLIPPED = {
    "refused": ("refusals", "refuses"),
    "asks": ("questions back", "asks back"),
    "ended": ("ended turns", "ends"),
    "empty": ("empty answers", "is empty"),
}
"""What a prompt's rate counts, by label, and the word for doing it; any other primary is shown with refusals."""
BEHIND = {
    "refusal": (
        ("refusal.unsafe", "harmful requests", "refuses"),
        ("refusal.safe", "harmless requests", "refuses"),
    ),
    "clarification": (
        ("clarification.wanted", "requests that leave something out", "asks back on"),
        ("clarification.unwanted", "clear requests", "asks back on"),
    ),
}
"""The rates that the closing sentences give, by the family of the primary: measure, of what, and the word for it."""
AGREES = {"eval_set": "evaluation set", "rendered": "prompts as tokens", "generation": "generation settings"}
"""What was checked and is the same, in words."""
ONE_SEED = (
    "Intervals are over prompts. With one seed an arm they show that these two checkpoints differ, "
    "not yet that a setting made the difference."
)


def training_screen(outcome: TrainingResult) -> RenderableType:
    """What `ppo train` ends with."""
    comparison, last = outcome.comparison, outcome.last
    ended = (
        f"stopped after {outcome.updates} updates" if outcome.reason else f"finished after {outcome.updates} updates"
    )
    sentences = [f"Ended early: {formatting.one_line(outcome.reason).rstrip('.')}."] if outcome.reason else []
    sentences += behaviour_sentences(comparison)
    now = f"step {outcome.updates}"
    return Group(
        _panel(
            f"{outcome.run} · {ended} · {formatting.duration(outcome.seconds)}", outcome.goal, sentences, comparison
        ),
        behaviour_table(comparison, "step 0", now),
        Text(),
        *_moved(comparison, "step 0", now),
        Text(),
        *alarm_block(outcome.alarms),
        Text(
            f"KL to the reference {formatting.plain(last['kl'], 2)} nats an answer, "
            f"{formatting.plain(last['kl_per_token'], 3)} a token (kl.coef "
            f"{last['kl_coef']:.3g}). Reward {formatting.signed(outcome.first['reward'], 2)} → "
            f"{formatting.signed(last['reward'], 2)}. "
            "The reference was frozen: same sha256 at start and end."
        ),
        Text(ONE_SEED, style="dim"),
        *_best_in_between(outcome),
        Text(formatting.loss_line(last["policy_loss"], last["value_loss"]), style="dim"),
        Text(),
        *advice_line(outcome.advice),
        _next("then", f"ppo compare {outcome.run} OTHER"),
        _next("your own prompts", f"ppo eval --checkpoint {outcome.checkpoint} --prompts FILE.jsonl"),
        _next("a page to send", f"ppo report {outcome.folder}"),
    )


def evaluation_screen(outcome: EvaluationResult) -> RenderableType:
    """What `ppo eval` ends with."""
    parts: list[RenderableType] = []
    if outcome.comparison is not None:
        sentences = behaviour_sentences(outcome.comparison)
        parts += [
            _panel(f"{outcome.name} against step 0", outcome.goal, sentences, outcome.comparison),
            behaviour_table(outcome.comparison, "step 0", "now"),
            Text(),
            details_table(outcome.comparison, "step 0", "now"),
            Text(),
            *_moved(outcome.comparison, "step 0", "now"),
        ]
    else:
        parts += [
            plain_text(outcome.name, style="bold"),
            _goal(outcome.goal, "dim"),
            Text(f"{outcome.prompts} prompts × {outcome.samples_per_prompt} answers", style="dim"),
            Text(),
            estimate_table(outcome.estimates, outcome.rewarded_measures),
        ]
    if outcome.human_labels is not None:
        parts += [Text(), human_labels_block(outcome.human_labels)]
    if outcome.categories:
        parts += [Text(), category_table(outcome.categories)]
    parts += [Text(), plain_text(f"rules {outcome.rules}; answers and scores in {outcome.folder}", style="dim")]
    return Group(*parts)


def comparison_screen(outcomes: Sequence[ComparisonResult]) -> RenderableType:
    """What `ppo compare` ends with: the base run against each of the others."""
    parts: list[RenderableType] = []
    for outcome in outcomes:
        comparison = outcome.comparison
        parts += [
            _panel(
                f"{outcome.before} → {outcome.after}",
                outcome.goal,
                comparison_sentences(outcome),
                comparison,
            ),
            _card(outcome),
            *seed_table.warnings(outcome),
            Text(),
            behaviour_table(comparison, "A", "B"),
            Text("A is the first run, B the second; change is B − A.", style="dim"),
            Text(),
            *([seed_table.seeds_table(outcome.seed_comparison), Text()] if outcome.seed_comparison else []),
            *_moved(comparison, "A", "B"),
            Text(seed_table.SEVERAL_SEEDS_NOTE if outcome.seed_comparison else ONE_SEED, style="dim"),
            *[plain_text(f"--fail-if {formatting.condition_sentence(found)}") for found in outcome.fail_if],
            *alarms_of_runs(outcome.alarms),
            *advice_line(outcome.advice),
            Text(),
        ]
    return Group(*parts[:-1])


def report_screen(outcome: ReportResult) -> RenderableType:
    """What `ppo report` ends with."""
    size = f"{outcome.bytes / 1e6:.1f} MB, {outcome.prompts} prompts; it loads nothing, so it can be sent as it is"
    return Group(plain_text(f"Wrote {outcome.path}"), Text(f"  {size}", style="dim"))


def dry_run_screen(outcome: DryRunResult) -> RenderableType:
    """What `ppo train --dry-run` ends with."""
    table = plain_table("key", "value", "class", "from", "instead of")
    for line in outcome.keys:
        table.add_row(
            line.path,
            format_value(line.value),
            Text(line.role, style="cyan" if line.role == "treatment" else "dim"),
            Text(line.origin, style="bold" if line.origin == "override" else "dim"),
            "" if line.replaces is None else format_value(line.replaces),
        )
    cost = outcome.cost
    if cost.seconds is None:
        estimate = f"{cost.episodes} episodes; time and memory are not known before the model is fetched"
    else:
        estimate = (
            f"{cost.episodes} episodes, about {formatting.duration(cost.seconds)}, {cost.memory_gb:.1f} GB of memory and "
            f"{cost.disk_gb:.1f} GB of disk on {cost.device} (measured {cost.gflops:.0f} GFLOP/s)"
        )
    leak = f"; {outcome.overlaps} of them overlap training" if outcome.overlaps else "; none overlaps training"
    return Group(
        _goal(outcome.goal, "bold"),
        Text(
            f"round {outcome.round}, {outcome.question}: lets {', '.join(outcome.may_move)} move against the run before"
        ),
        Text(f"prompts: {outcome.train_prompts} to train on, {outcome.eval_prompts} to evaluate on{leak}"),
        *_parent_line(outcome),
        Text(f"cost: {estimate}"),
        Text(),
        table,
        Text(),
        Text("Nothing was run. Frozen keys must stay as they are between runs that are to be compared.", style="dim"),
    )


def _parent_line(outcome: DryRunResult) -> list[RenderableType]:
    if outcome.parent is None:
        return []
    differs = ", ".join(f"{key} {format_value(value)}" for key, value in outcome.changed.items()) or "nothing"
    return [
        plain_text(f"parent: {outcome.parent}; against it differs: {differs}"),
        *(plain_text(f"! {notice}", style="yellow") for notice in outcome.notices),
    ]


def runs_screen(rows: Sequence[RunRow], differing: Sequence[str], output: str) -> RenderableType:
    """What `ppo runs` shows."""
    if not rows:
        return plain_text(f"No runs in {output}. Start one with: ppo train configs/refusal.yaml")
    usual = {path: _most_common([row.config.get(path) for row in rows if row.config]) for path in differing}
    primaries = sorted({row.primary for row in rows if row.primary})
    table = plain_table()
    for heading in ("run", "status", "updates", *primaries):
        table.add_column(heading, no_wrap=True)
    table.add_column("differs from the usual by", overflow="fold")
    by_name = {row.state.id: row for row in rows}
    for place, lead in family_tree([(row.state.id, row.state.parent) for row in rows]):
        row = rows[place]
        if row.problem:
            table.add_row(row.state.id, Text("unreadable", style="red"), formatting.one_line(row.problem, 60))
            continue
        status = Text(row.state.status, style="red" if row.state.status in ("failed", "interrupted") else "default")
        unlike = [path for path, value in usual.items() if format_value(row.config.get(path)) != value]
        differs = ", ".join(f"{path} {format_value(row.config.get(path))}" for path in unlike) or formatting.MISSING
        table.add_row(
            f"{lead}{row.state.id}",
            status,
            f"{row.state.updates_done}/{row.updates}",
            *[_measured(row, name) for name in primaries],
            differs if row.state.parent is None else _parent_cell(row, by_name.get(row.state.parent)),
        )
    parts: list[RenderableType] = [
        table,
        *footnotes(primaries, {name for row in rows for name in row.rewarded_measures}),
    ]
    if usual:
        parts.append(plain_text("usual: " + ", ".join(f"{path} {value}" for path, value in usual.items()), style="dim"))
    parts += [
        plain_text(f"{row.state.id} was best at the interim evaluations at step {row.state.best_step}", style="dim")
        for row in rows
        if row.state.status in ("finished", "stopped") and row.state.best_step not in (None, row.state.updates_done)
    ]
    parts += [
        _next(f"continue {row.state.id}", f"ppo train --resume {output}/{row.state.id}")
        for row in rows
        if row.state.status == "interrupted"
    ]
    return Group(*parts)


def run_differences_screen(rows: Sequence[RunRow], differing: Sequence[str], output: str) -> RenderableType:
    """What `ppo runs --only-changed` shows: a column for each key that is not the same in all runs."""
    readable = [row for row in rows if not row.problem]
    if not rows or not differing:
        return runs_screen(rows, differing, output) if not rows else plain_text("No key differs between these runs.")
    table, lines = plain_table(), list[RenderableType]()
    for heading in ("run", *differing):
        table.add_column(plain_text(heading), no_wrap=True)
    for place, lead in family_tree([(row.state.id, row.state.parent) for row in readable]):
        row = readable[place]
        values = [format_value(row.config.get(path)) for path in differing]
        table.add_row(f"{lead}{row.state.id}", *values)
        lines.append(plain_text(f"{lead}{row.state.id}"))
        lines += [plain_text(f"    {path} {value}") for path, value in zip(differing, values, strict=True)]
    unread = [plain_text(f"{row.state.id} cannot be read: {row.problem}", style="red") for row in rows if row.problem]
    return Group(WideOrStacked(table, Group(*lines)), *unread)


def behaviour_sentences(comparison: Comparison) -> list[str]:
    """The primary's verdict in words, then the rates behind it: of its own family, or of refusals."""
    sentences = []
    for change in comparison.changes:
        if change.name == comparison.primary:
            by_hand = formatting.HUMAN_MARK in formatting.marks(comparison, change.name)
            asked = "labelled by hand" if by_hand else f"× {comparison.samples_per_prompt}"
            numbers = [formatting.p_value(change.p_value), f"{change.prompts} prompts {asked}"]
            tail = ", ".join(part for part in numbers if part)
            sentences.append(
                f"{change.verdict}. {formatting.verdict_sentence(measure_named(change.name), change)} ({tail})"
            )
    for name, where, does in BEHIND.get(measure_named(comparison.primary).family, BEHIND["refusal"]):
        rate = _change(comparison, name)
        if rate is not None and rate.difference is not None and name != comparison.primary:
            measure = measure_named(name)
            sentences.append(
                f"Of {where} it {does} {formatting.value(measure, rate.after)}, before "
                f"{formatting.value(measure, rate.before)}: {formatting.difference(measure, rate.difference)} "
                f"{formatting.interval(measure, rate.low_95, rate.high_95)}."
            )
    return sentences


def comparison_sentences(outcome: ComparisonResult) -> list[str]:
    """The verdict, what it can be put down to, and what the seeds say of it."""
    sentences = behaviour_sentences(outcome.comparison)
    found = outcome.seed_comparison
    if found is not None:
        sentences[0] = f"These checkpoints: {sentences[0]}"
        sentences.append(seed_table.seeds_sentence(found, outcome.comparison.primary, outcome.variables))
    floor = seed_table.seed_noise_sentence(outcome)
    return [*sentences, *([floor] if floor else []), attribution(outcome)]


def attribution(outcome: ComparisonResult) -> str:
    """What the difference between two runs can be put down to."""
    if outcome.same_run:
        return "A run with itself: every difference is exactly zero."
    moved = {key: f"{key} {format_value(old)} → {format_value(new)}" for key, (old, new) in outcome.treatments.items()}
    together = [" with ".join(moved[key] for key in outcome.joint_variable)] if outcome.joint_variable else []
    changed = [*together, *(words for key, words in moved.items() if key not in outcome.joint_variable)]
    if len(changed) > 1:
        return f"CONFOUNDED: {len(changed)} variables changed ({'; '.join(changed)}); no effect can be attributed."
    if changed:
        same = outcome.seed_comparison is not None or outcome.seeds[0] == outcome.seeds[1]
        seed = "" if same else ", and the seed differs"
        if together:
            return f"{changed[0]}: declared as one variable before training, the only one changed{seed}."
        return f"{changed[0]} is the only variable changed{seed}."
    if outcome.seeds[0] != outcome.seeds[1]:
        return "Only the seed differs: this is the noise floor of the experiment."
    return "Nothing was changed: this checks that a run repeats itself."


def _panel(title: str, goal: str, sentences: Sequence[str], comparison: Comparison) -> RenderableType:
    primary = _change(comparison, comparison.primary)
    changed = primary is not None and primary.verdict == "CHANGED"
    body = [_goal(goal, "dim"), *[plain_text(sentence) for sentence in sentences]]
    return Panel(
        Group(*body), title=plain_text(title), title_align="left", border_style="green" if changed else "default"
    )


def _card(outcome: ComparisonResult) -> RenderableType:
    same = "   ".join(f"✓ {AGREES.get(name, name)}" for name in outcome.same_groups)
    lines = [Text(f"Comparable?  {same}   ✓ scored by the same rules")]
    for key, (old, new) in outcome.treatments.items():
        lines.append(plain_text(f"Changed      {key}  {format_value(old)} → {format_value(new)}", style="bold"))
    if outcome.joint_variable:
        lines.append(plain_text(f"Declared     {', '.join(outcome.joint_variable)} as one variable, before training"))
    if outcome.seed_comparison is not None:
        a, b = (", ".join(map(str, seeds)) for seeds in outcome.seed_comparison.seeds)
        lines.append(Text(f"Seeds        {a} → {b}"))
    elif outcome.seeds[0] != outcome.seeds[1]:
        lines.append(Text(f"Seed         {outcome.seeds[0]} → {outcome.seeds[1]}"))
    for key, (was, now) in outcome.confounders.items():
        lines.append(plain_text(f"Confounder   ! {key}  {was} → {now}", style="yellow"))
    return Group(*lines)


def _moved(comparison: Comparison, before: str, after: str) -> list[RenderableType]:
    """How many prompts flipped, how many would by chance, and the ones that moved most."""
    parts: list[RenderableType] = [Text(flips_line(comparison, before), style="bold")]
    if comparison.flips:
        parts.append(side_by_side(comparison.flips[:FLIPS_SHOWN], before, after, flip_verb(comparison)))
    return parts


def flips_line(comparison: Comparison, before: str) -> str:
    """How many prompts flipped, and how many would by chance."""
    what, _ = _flipped(comparison)
    line = f"{len(comparison.flips)} of {comparison.prompts} prompts flipped ({what} moved by half or more)"
    if comparison.expected_flip_rate is not None:
        chance = comparison.expected_flip_rate * comparison.prompts
        line += f"; sampling {before} a second time would flip about {chance:.0f}"
    return f"{line}."


def flip_verb(comparison: Comparison) -> str:
    """The word for doing what flips are counted in."""
    return _flipped(comparison)[1]


def _flipped(comparison: Comparison) -> tuple[str, str]:
    return FLIPPED.get(measure_named(comparison.primary).label, FLIPPED["refused"])


def _best_in_between(outcome: TrainingResult) -> list[RenderableType]:
    """Says which checkpoint did best at the interim evaluations, where that is not the last one."""
    best = outcome.best
    if best is None or best.step == outcome.updates:
        return []
    measure = measure_named(outcome.comparison.primary)
    return [
        Text(
            f"Best at the interim evaluations was step {best.step}: {measure.title.strip()} "
            f"{formatting.value(measure, best.value)} on their {best.prompts} prompts, step {outcome.updates} "
            f"{formatting.value(measure, best.last)}. The best of several looks is partly luck."
        ),
        _next("judge that one", f"ppo eval --checkpoint {outcome.folder}/best"),
    ]


def _change(comparison: Comparison, name: str) -> MeasureChange | None:
    return next((change for change in comparison.changes if change.name == name), None)


def _parent_cell(row: RunRow, parent: RunRow | None) -> str:
    """What a run changed against its parent, and in which round."""
    changed = []
    for path, value in row.state.changed_keys.items():
        before = f"{format_value(parent.config[path])} → " if parent is not None and path in parent.config else ""
        changed.append(f"{path} {before}{format_value(value)}")
    whose = "" if parent is not None else f" of {row.state.parent}"
    return f"round {row.round}{whose}: {', '.join(changed) or 'nothing changed'}"


def _most_common(values: Sequence[object]) -> str:
    """The value that most runs have, the first of them where several do."""
    return Counter(map(format_value, values)).most_common(1)[0][0]


def _measured(row: RunRow, name: str) -> str:
    found: Mapping[str, Any] | None = row.measures.get(name)
    known = {measure.name: measure for measure in MEASURES}
    if found is None or found.get("value") is None or name not in known:
        return formatting.MISSING
    mark = f" {formatting.REWARDED_MARK}" if name in row.rewarded_measures else ""
    return f"{formatting.value(known[name], found['value'])}{mark} (step {row.step})"


def _goal(goal: str, style: str) -> Text:
    return Text(f"goal: {formatting.one_line(goal)}", style=style)


def _next(what: str, command: str, note: str = "") -> Text:
    """A line and not a table, so that a long path in the command is wrapped and never cut."""
    line = plain_text(f"{what:<16}  ", style="dim")
    line.append(formatting.printable(command), style="bold not dim")
    return line.append(formatting.printable(f"  {note}" if note else ""))
