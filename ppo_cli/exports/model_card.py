"""README.md of an export: goal, behaviour against the start model with intervals, KL, digests of the data, limits.

Texts of the run are shown as text, secrets in them are masked, and no path of this machine is written.

Never imports torch. Not here: the files of the model (`merged_model`, `adapter`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from ppo_cli import __version__
from ppo_cli.errors import PpoError
from ppo_cli.evaluation.evaluation_data import compare_with_baseline, measures_shown
from ppo_cli.evaluation.human_labels import with_human_labels
from ppo_cli.evaluation.run_checkpoint import RunCheckpoint
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.builtin import NAME
from ppo_cli.models.model_source import BUILTIN_PREFIX
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.events import PLACEBO
from ppo_cli.records.exports import Form, SelfTest
from ppo_cli.records.secrets import masked
from ppo_cli.reports.formatting import human_label_note
from ppo_cli.reports.markdown import comparison_table, escape_markdown
from ppo_cli.reports.tables import footnote_texts

BUILTIN_START = f"{BUILTIN_PREFIX}{NAME}"
BUILTIN_HUB_ID, BUILTIN_LICENCE = "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0"
"""What the built-in model is called on the hub, and its licence."""
BASE = "./base"
"""Of a base model inside the export."""
LIMITS = (
    "The table shows how this checkpoint answers the prompts of one evaluation set. Other prompts may show something "
    "else.",
    "Its intervals cover which prompts were drawn. They do not cover the training seed: another seed gives another "
    "model.",
    "Labels such as refusals are given by rules that err; a measure marked † is also what the reward scored, so a gain "
    "shows that PPO optimised it.",
    "What the table does not measure, such as knowledge, harm in other languages or long conversations, was not "
    "measured. This is not a safety assessment.",
)


def model_card(
    checkpoint: RunCheckpoint, form: Form, base: str | None, tested: SelfTest, *, start_is_on_hub: bool
) -> str:
    """The text of README.md.

    Args:
        checkpoint: that is exported.
        form: whole model or adapter.
        base: of an adapter.
        tested: the self-test that it passed.
        start_is_on_hub: whether `model.start` of the config is a Hugging Face id; else only its kind is said.
    """
    records = checkpoint.records
    experiment = records.experiment
    lines = [
        *_front_matter(experiment, form, start_is_on_hub=start_is_on_hub),
        f"# {_as_text(experiment.name)}, update {checkpoint.step}",
        "",
        f"Goal: {_as_text(experiment.goal)}",
        "",
        *_origin(checkpoint, form, start_is_on_hub=start_is_on_hub),
        "",
        "## Behaviour",
        "",
        *_behaviour(checkpoint),
        "",
        "## Use",
        "",
        *_use(form, base, records.provenance.get("dtype", "float32"), experiment),
        "",
        "## Data and digests",
        "",
        *_digests(checkpoint),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in LIMITS),
        *([f"- {PLACEBO}"] if experiment.reward.placebo else []),
        "",
        "## Self-test",
        "",
        f"Loaded with {'transformers' if form == 'merged' else 'PEFT and transformers'}, this folder has the run's "
        f"weights bit by bit and gives the run's answers token by token: {len(tested.prompt_ids)} prompts, a greedy "
        f"and a sampled answer each, {tested.tokens} tokens, in float32 on a CPU.",
        "",
    ]
    return masked("\n".join(lines))


def _as_text(text: str) -> str:
    """A text of the run as Markdown shows it; secrets are masked first, since their escaped form hides them."""
    return escape_markdown(masked(text))


def _front_matter(experiment: Experiment, form: Form, *, start_is_on_hub: bool) -> Iterator[str]:
    values: dict[str, object] = {"library_name": "peft" if form == "adapter" else "transformers"}
    values["pipeline_tag"] = "text-generation"
    values["tags"] = ["ppo", "rlhf", "ppo-cli"]
    if experiment.model.start == BUILTIN_START:
        values |= {"base_model": BUILTIN_HUB_ID, "license": BUILTIN_LICENCE}
    elif start_is_on_hub:
        values["base_model"] = experiment.model.start
    yield "---"
    yield yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip()
    yield "---"
    yield ""


def _origin(checkpoint: RunCheckpoint, form: Form, *, start_is_on_hub: bool) -> Iterator[str]:
    experiment, records = checkpoint.records.experiment, checkpoint.records
    model, part = experiment.model, experiment.model.train
    start = model.start if start_is_on_hub or model.start == BUILTIN_START else "a model in a local folder"
    revision = f" at revision {model.revision}" if model.revision else ""
    layers = "all layers" if part.top_layers is None else f"the top {part.top_layers} layers"
    how = f"adapters of rank {part.lora.r} on {layers}" if part.lora else layers
    what = "The adapter alone" if form == "adapter" else "The whole model, adapter merged" if part.lora else "The model"
    updates = f"update {checkpoint.step} of {experiment.ppo.updates}"
    yield f"{what}, after {updates} of a training with PPO (ppo {__version__})."
    yield ""
    yield f"- start model: {_as_text(start)}{_as_text(revision)}"
    if model.warm_start:
        yield f"- warm start: SFT, {model.sft.epochs} epochs, before PPO; it is part of the start model in the table"
    yield f"- trained: {how}; seed {experiment.seed}; kl.coef {experiment.kl.coef:g}"
    terms = ", ".join(f"{_as_text(name)} ({term.weight:g})" for name, term in experiment.reward.terms.items())
    yield f"- reward: {terms or 'none'}; baseline: {experiment.reward.baseline}"
    if model.system_prompt:
        yield f"- system prompt in training: {_as_text(model.system_prompt)}"
    evaluated = [step for step in records.evaluated_steps() if step > 0]
    if records.state.best_step == checkpoint.step and len(evaluated) > 1:
        yield f"- chosen as the best of {len(evaluated)} evaluations after step 0"


def _behaviour(checkpoint: RunCheckpoint) -> Iterator[str]:
    """The table of headlines against step 0, or why there is none."""
    records, step = checkpoint.records, checkpoint.step
    steps = records.evaluated_steps()
    if step not in steps or 0 not in steps:
        yield "This checkpoint was not evaluated in its run, so nothing is known of its behaviour."
        return
    start, last = records.evaluation(0), records.evaluation(step)
    experiment = records.experiment
    comparison = _comparison(checkpoint)
    size = f"{comparison.prompts} prompts, {comparison.samples_per_prompt} answers each"
    settings = experiment.evaluation
    yield (
        f"Against the start model (step 0): {size}, temperature {settings.temperature:g}, at most "
        f"{settings.max_new_tokens} tokens, the same random draws for both."
    )
    yield ""
    yield from comparison_table(comparison, None, ("start", f"update {step}"))
    yield ""
    for note in footnote_texts([change.name for change in comparison.changes], comparison.rewarded_measures):
        yield f"{note}\n"
    if comparison.human_labels is not None:
        yield f"{human_label_note(comparison.human_labels)}\n"
    if last.partial or start.partial:
        yield "Only a part of the evaluation set was asked at this checkpoint (an interim evaluation).\n"
    if records.state.best_step == step and step != records.state.updates_done:
        yield "The checkpoint was chosen on these prompts, so its gain looks larger than it is.\n"
    kl = next((row["kl"] for row in records.metrics if row.get("update") == step), None)
    if kl is not None:
        yield f"KL to the start model in training, at this update: {kl:.2f} nats per answer."


def _comparison(checkpoint: RunCheckpoint) -> Comparison:
    records, experiment = checkpoint.records, checkpoint.records.experiment
    start, last = records.evaluation(0), records.evaluation(checkpoint.step)
    by_rule = compare_with_baseline(start, last, experiment, measures_shown(experiment, partial=True))
    try:
        return with_human_labels(by_rule, [start], [last], start.prompts, experiment.evaluation.smallest_effect)
    except PpoError:
        return by_rule


def _use(form: Form, base: str | None, dtype: str, experiment: Experiment) -> Iterator[str]:
    settings = experiment.evaluation
    yield "```python"
    if form == "merged":
        yield "from transformers import AutoModelForCausalLM, AutoTokenizer"
        yield ""
        yield 'model = AutoModelForCausalLM.from_pretrained("FOLDER_OR_ID")'
    else:
        yield "from peft import PeftModel"
        yield "from transformers import AutoModelForCausalLM, AutoTokenizer"
        yield ""
        where = '"FOLDER/base"' if base == BASE else repr(base)
        yield f'base = AutoModelForCausalLM.from_pretrained({where}, dtype="{dtype}")'
        yield 'adapted = PeftModel.from_pretrained(base, "FOLDER_OR_ID", autocast_adapter_dtype=False)'
        yield "model = adapted.merge_and_unload()"
    yield 'tokenizer = AutoTokenizer.from_pretrained("FOLDER_OR_ID")'
    yield "```"
    yield ""
    yield (
        f"Ask it through its chat template. The table was measured at temperature {settings.temperature:g}, with top_p "
        "1 and no penalty; generation_config.json says the same."
    )


def _digests(checkpoint: RunCheckpoint) -> Iterator[str]:
    lock: Lock = checkpoint.records.lock
    yield "| what | rows | sha256 |"
    yield "|---|---:|---|"
    for group, title in (("train_set", "training prompts"), ("eval_set", "evaluation prompts"), ("warm_start", "SFT")):
        if group in lock.groups:
            values = lock.groups[group].values
            yield f"| {title} | {values.get('rows', '')} | {values.get('rows_sha256', '')} |"
    weights = lock.groups["start_model"].values.get("weights", {}) if "start_model" in lock.groups else {}
    for name, digest in weights.items() if isinstance(weights, dict) else ():
        yield f"| start model, {escape_markdown(Path(str(name)).name)} | | {digest} |"
    yield f"| freeze lock of the run | | {lock.fingerprint} |"
    yield ""
    yield "The prompts themselves are not part of this folder."
