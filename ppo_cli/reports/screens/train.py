"""The screen that ends `ppo train`.

Order: what got worse, the result in sentences, behaviour, flipped prompts, alarms, reward and KL, what this cannot
show, what the critic explains, the loss, what to type next.

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
from ppo_cli.reports.critic import critic_line
from ppo_cli.reports.screens.elements import flips_block, head_panel
from ppo_cli.reports.seed_noise import single_run_sentence
from ppo_cli.reports.sentences import ONE_SEED, behaviour_sentences, kl_sentence, reward_sentence
from ppo_cli.reports.tables import behaviour_table, plain_text, suggested_command


def training_screen(result: TrainingResult) -> RenderableType:
    """What `ppo train` ends with."""
    comparison, now = result.comparison, f"step {result.updates}"
    verb = "stopped early" if result.reason else "finished"
    title = f"{result.run} · {verb} after {result.updates} updates · {formatting.duration(result.seconds)}"
    noise = single_run_sentence(result.seed_noise, comparison.primary)
    reason = [f"Stopped early: {formatting.one_line(result.reason).rstrip('.')}."] if result.reason else []
    return Group(
        head_panel(title, result.goal, [*reason, *behaviour_sentences(comparison)], comparison),
        behaviour_table(comparison, "step 0", now),
        Text(),
        *flips_block(comparison, "step 0", now),
        Text(),
        *alarm_block(result.alarms),
        *map(Text, _reward_and_kl(result)),
        Text(ONE_SEED, style="dim"),
        *([plain_text(noise, style="dim")] if noise else []),
        *_best_sentence(result),
        Text(critic_line(result.explained_variance), style="dim"),
        Text(formatting.loss_line(result.last["policy_loss"], result.last["value_loss"]), style="dim"),
        Text(),
        *advice_lines(result.advice),
        *_best_command(result),
        suggested_command("compare", command("compare", result.folder, "OTHER_RUN")),
        suggested_command("other prompts", command("eval", "--checkpoint", result.checkpoint, "--prompts", "FILE")),
        suggested_command("HTML page", command("report", result.folder)),
    )


def _reward_and_kl(result: TrainingResult) -> list[str]:
    """Both on the evaluation prompts; where they were not measured there, in training, and said so."""
    first, last = result.first, result.last
    reward = reward_sentence(result.comparison) or (
        f"Reward in training, mean of one update each: {formatting.signed(first['reward'], 2)} in the first, "
        f"{formatting.signed(last['reward'], 2)} in the last."
    )
    kl = kl_sentence(result.comparison) or (
        f"KL in training, estimated in the last update: {formatting.plain(last['kl'], 2)} nats per answer, "
        f"{formatting.plain(last['kl_per_token'], 3)} nats per token."
    )
    frozen = "The reference stayed frozen: same sha256 at start and end."
    return [reward, f"{kl} kl.coef ended at {last['kl_coef']:.3g}. {frozen}"]


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
