"""Traps of tokenizer, chat template and generation config: cheap, since no model is run.

Not here: how the model answers (`tuned`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.preflight.check_lines import condition_check
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Check

if TYPE_CHECKING:
    from ppo_cli.models.chat_template import TemplateProbe
    from ppo_cli.models.loading import ChatTokenizer

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "repetition_penalty": (None, 1, 1.0),
    "encoder_repetition_penalty": (None, 1, 1.0),
    "no_repeat_ngram_size": (None, 0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "typical_p": (None, 1, 1.0),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
    "bad_words_ids": (None, []),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
}
"""Settings of a generation config that change what is sampled, and the values with which they do not."""
MAX_UNKNOWN_SHARE = 0.02
"""Share of a prompt set's tokens that the tokenizer may not know. Own choice."""


def tokenizer_checks(tokenizer: ChatTokenizer, folder: Path) -> list[Check]:
    """Chat template, end-of-turn, padding, and what the generation config would have changed."""
    from ppo_cli.models.chat_template import probe_template

    template = probe_template(tokenizer)
    return [
        *template_checks(template, tokenizer),
        _padding(tokenizer),
        _generation_config(folder),
        _vocabulary(tokenizer, folder),
    ]


def template_checks(template: TemplateProbe, tokenizer: ChatTokenizer) -> list[Check]:
    """Whether the template keeps what is said, marks turns, and ends them with a token that ends an answer."""
    name, threshold = "chat template", "keeps every turn and marks it"
    reason = "what the template drops or does not mark, the model never sees"
    if template.problem is not None:
        found, step = (
            f"fails: {template.problem}",
            "Use another template; if it takes no system turn, leave out model.system_prompt.",
        )
        return [condition_check(name, False, found, threshold, reason, step)]
    lost = [
        said
        for said, kept in (("the user's words", template.keeps_user), ("the system turn", template.keeps_system))
        if not kept
    ]
    if lost:
        step = "Mend the template" + ("." if "user" in lost[0] else ", or put model.system_prompt into the prompts.")
        return [condition_check(name, False, f"drops {' and '.join(lost)}", threshold, reason, step)]
    marks = condition_check(
        name,
        template.marks_turns,
        f"an answer follows {template.closing.strip()!r}"
        if template.marks_turns
        else "nothing marks where an answer begins",
        threshold,
        reason,
        "Start from an instruct model with its own template.",
    )
    ends = template.end_id in tokenizer.stop_ids
    wanted = " or ".join(repr(str(tokenizer.tokenizer.decode([stop]))) for stop in tokenizer.stop_ids)
    return [
        marks,
        condition_check(
            "turns end with a stop token",
            ends,
            f"they end with {template.ending[:30]!r}" if template.ending else "the template ends them with nothing",
            f"with {wanted}",
            "else no answer ever ends, however well the model knows that it should",
            "Set eos_token, or eos_token_id in generation_config.json, to what the template writes after an answer.",
        ),
    ]


def prompt_checks(tokenizer: ChatTokenizer, prompts: Sequence[Prompt], limit: int) -> list[Check]:
    """Whether prompts fit, and the tokenizer knows their letters."""
    rendered = [tokenizer.render(prompt.text) for prompt in prompts]
    longest = max(map(len, rendered))
    unknown_id = tokenizer.tokenizer.unk_token_id
    whole = sum(map(len, rendered))
    unknown = sum(ids.count(unknown_id) for ids in rendered) / whole if unknown_id is not None else 0.0
    return [
        condition_check(
            "prompts fit",
            longest <= limit,
            f"longest {longest} tokens",
            f"at most {limit}",
            "a cut prompt asks something else",
            "Shorten it, or raise prompts.max_tokens.",
        ),
        condition_check(
            "prompts can be read",
            unknown <= MAX_UNKNOWN_SHARE,
            f"{unknown:.1%} unknown tokens",
            f"{MAX_UNKNOWN_SHARE:.0%} or fewer",
            "a letter that the tokenizer does not know is the same as every other one",
            "Use a model whose tokenizer knows this language.",
            otherwise="warn" if unknown < 0.2 else "stop",
        ),
    ]


def _padding(tokenizer: ChatTokenizer) -> Check:
    apart = tokenizer.pad_id != tokenizer.stop_ids[0]
    return condition_check(
        "pad is not end-of-turn",
        apart,
        f"pad {tokenizer.pad_id}, ends {', '.join(map(str, tokenizer.stop_ids))}",
        "different",
        "with one token for both, PPO never learns to end an answer",
        "Give the tokenizer a pad token of its own.",
    )


def _generation_config(folder: Path) -> Check:
    try:
        stated = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stated = {}
    active = [f"{name} {stated[name]}" for name, neutral in NEUTRAL.items() if stated.get(name) not in neutral]
    return condition_check(
        "generation config is plain",
        not active,
        ", ".join(active)[:80] if active else "nothing in it bends the probabilities",
        "nothing, or it is put aside",
        "it would enter the KL as if the policy had moved",
        "It is put aside here and given back to checkpoints; deploy without it to get what was trained.",
        otherwise="warn",
    )


def _vocabulary(tokenizer: ChatTokenizer, folder: Path) -> Check:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows = int(config.get("text_config", config)["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError):
        rows = len(tokenizer.tokenizer)
    known = len(tokenizer.tokenizer)
    return condition_check(
        "model knows every token",
        known <= rows,
        f"{known} tokens, {rows} rows of embeddings",
        "a row for each",
        "a token without a row ends the run in the middle",
        "Use the tokenizer that belongs to this model.",
    )
