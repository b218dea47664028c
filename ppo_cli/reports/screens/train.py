"""The screen that ends `ppo train`.

Order: the result in sentences, behaviour, flipped prompts, alarms, KL and reward, what this cannot show, the loss, what
to type next.

Not here: a sweep (`sweep`), the plan of a run (`dry_run`).
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.program import command
from ppo_cli.records.results import TrainingResult
from ppo_cli.reports import formatting
from ppo_cli.reports.alarms import advice_lines, alarm_block
from ppo_cli.reports.screens.elements import flips_block, head_panel
from ppo_cli.reports.sentences import ONE_SEED, behaviour_sentences
from ppo_cli.reports.tables import behaviour_table, suggested_command


def training_screen(result: TrainingResult) -> RenderableType:
    """What `ppo train` ends with."""
    comparison, now = result.comparison, f"step {result.updates}"
    verb = "stopped early" if result.reason else "finished"
    title = f"{result.run} · {verb} after {result.updates} updates · {formatting.duration(result.seconds)}"
    reason = [f"Stopped early: {formatting.one_line(result.reason).rstrip('.')}."] if result.reason else []
    return Group(
        head_panel(title, result.goal, [*reason, *behaviour_sentences(comparison)], comparison),
        behaviour_table(comparison, "step 0", now),
        Text(),
        *flips_block(comparison, "step 0", now),
        Text(),
        *alarm_block(result.alarms),
        Text(_kl_and_reward(result)),
        Text(ONE_SEED, style="dim"),
        *_best_sentence(result),
        Text(formatting.loss_line(result.last["policy_loss"], result.last["value_loss"]), style="dim"),
        Text(),
        *advice_lines(result.advice),
        *_best_command(result),
        suggested_command("compare", command("compare", result.folder, "OTHER_RUN")),
        suggested_command("other prompts", command("eval", "--checkpoint", result.checkpoint, "--prompts", "FILE")),
        suggested_command("HTML page", command("report", result.folder)),
    )


def _kl_and_reward(result: TrainingResult) -> str:
    last = result.last
    return (
        f"KL to the reference {formatting.plain(last['kl'], 2)} nats per answer, "
        f"{formatting.plain(last['kl_per_token'], 3)} nats per token (kl.coef {last['kl_coef']:.3g}). Reward "
        f"{formatting.signed(result.first['reward'], 2)} → {formatting.signed(last['reward'], 2)}. "
        "The reference stayed frozen: same sha256 at start and end."
    )


def _best_sentence(result: TrainingResult) -> list[RenderableType]:
    """Which checkpoint did best at the interim evaluations, where that is not the last one."""
    best = result.best
    if best is None or best.step == result.updates:
        return []
    measure = measure_named(result.comparison.primary)
    sentence = (
        f"Best at the interim evaluations: step {best.step} with {measure.title.strip()} "
        f"{formatting.value(measure, best.value)} on their {best.prompts} prompts; step {result.updates} has "
        f"{formatting.value(measure, best.last)}. The best of several evaluations is partly chance."
    )
    return [Text(sentence)]


def _best_command(result: TrainingResult) -> list[RenderableType]:
    if result.best is None or result.best.step == result.updates:
        return []
    return [suggested_command("best checkpoint", command("eval", "--checkpoint", f"{result.folder}/best"))]
