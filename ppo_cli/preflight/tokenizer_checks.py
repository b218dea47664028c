"""Checks of tokenizer, chat template and generation config, which run no model.

Not here: how the model answers (`instruct_checks`), the wording of the prompts (`prompt_checks`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.prompts.chat_markup import control_tokens_in, control_tokens_in_answer, is_templated
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Check
from ppo_cli.records.reasoning import is_tag, split_reasoning

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
"""Settings of a generation config that change the sampling distribution, and the values that leave it unchanged."""
MAX_UNKNOWN_SHARE = 0.02
"""Share of the prompts' tokens that may be the unknown token. Own choice."""
FAIL_UNKNOWN_SHARE = 0.2
"""The same share, from which the prompts cannot be read at all. Own choice."""


def tokenizer_checks(tokenizer: ChatTokenizer, folder: Path) -> list[Check]:
    """Checks of chat template, end-of-turn token, padding token, generation config and vocabulary.

    Args:
        tokenizer: with the system prompt of the config.
        folder: of the model, which holds config.json and generation_config.json.
    """
    from ppo_cli.models.chat_template import probe_template

    return [
        *template_checks(probe_template(tokenizer), tokenizer),
        _padding_check(tokenizer),
        _generation_config_check(folder),
        _vocabulary_check(tokenizer, folder),
    ]


def template_checks(template: TemplateProbe, tokenizer: ChatTokenizer) -> list[Check]:
    """Whether the template keeps all words, marks turns, and ends them with a token that ends an answer."""
    if template.problem is not None:
        step = "Use another template; if it does not accept a system turn, leave out model.system_prompt."
        return [_template_check(False, f"fails: {template.problem}", step)]
    dropped = [
        part
        for part, keeps in (("the user's words", template.keeps_user), ("the system turn", template.keeps_system))
        if not keeps
    ]
    if dropped:
        step = "Fix the template" + ("." if "user" in dropped[0] else ", or put model.system_prompt into the prompts.")
        return [_template_check(False, f"drops {' and '.join(dropped)}", step)]
    stop_tokens = " or ".join(repr(str(tokenizer.tokenizer.decode([stop]))) for stop in tokenizer.stop_ids)
    return [
        _template_check(
            template.marks_turns,
            f"an answer follows {template.closing.strip()!r}"
            if template.marks_turns
            else "nothing marks where an answer begins",
            "Start from an instruct model with its own template.",
        ),
        Check.from_condition(
            "turns end with a stop token",
            template.end_id in tokenizer.stop_ids,
            value=f"they end with {template.ending[:30]!r}" if template.ending else "nothing follows an answer",
            threshold=f"with {stop_tokens}",
            reason="otherwise no answer ever ends, however well the model is trained",
            next_step="Set eos_token, or eos_token_id in generation_config.json, to what the template writes after an "
            "answer.",
        ),
    ]


def prompt_token_checks(tokenizer: ChatTokenizer, token_ids: Sequence[Sequence[int]], max_tokens: int) -> list[Check]:
    """Whether prompts fit the limit, and the tokenizer knows their characters.

    Args:
        tokenizer: that made the token ids.
        token_ids: one list per prompt, chat template applied.
        max_tokens: longest prompt allowed.
    """
    longest = max(map(len, token_ids))
    unknown_id = tokenizer.tokenizer.unk_token_id
    total = sum(map(len, token_ids))
    unknown = sum(list(ids).count(unknown_id) for ids in token_ids) / total if unknown_id is not None else 0.0
    return [
        Check.from_condition(
            "prompts fit",
            longest <= max_tokens,
            value=f"longest {longest} tokens",
            threshold=f"at most {max_tokens}",
            reason="a cut prompt asks something else",
            next_step="Shorten it, or raise prompts.max_tokens.",
        ),
        Check.from_condition(
            "prompts can be read",
            unknown <= MAX_UNKNOWN_SHARE,
            value=f"{unknown:.1%} unknown tokens",
            threshold=f"{MAX_UNKNOWN_SHARE:.0%} or fewer",
            reason="the model cannot tell one unknown character from another",
            next_step="Use a model whose tokenizer knows this language.",
            otherwise="warn" if unknown < FAIL_UNKNOWN_SHARE else "fail",
        ),
    ]


def control_token_check(tokenizer: ChatTokenizer, prompts: Sequence[Prompt]) -> Check:
    """Whether prompts or written answers hold tokens of a chat format, or are written in one; all are encoded as text.

    Args:
        tokenizer: that encodes the prompts; its own control tokens are found too.
        prompts: those to train and to evaluate on.
    """
    from ppo_cli.models.control_tokens import found_control_tokens

    templated = [prompt for prompt in prompts if is_templated(prompt)]
    tokens = {
        prompt.id: list(
            dict.fromkeys(
                control_tokens_in(prompt)
                + found_control_tokens(tokenizer.tokenizer, [turn.content for turn in prompt.chat])
            )
        )
        for prompt in prompts
    }
    forged = {id_: found for id_, found in tokens.items() if found}
    parts = _control_tokens_of_answers(tokenizer, prompts)
    if forged:
        first, found = next(iter(forged.items()))
        parts.append(f"{len(forged)} of {len(prompts)} hold some, such as '{first}' ({', '.join(found[:3])})")
    if templated:
        parts.append(f"{len(templated)} are written in a chat format already, such as '{templated[0].id}'")
    return Check.from_condition(
        "prompts hold no control tokens",
        not parts,
        value="; ".join(parts) if parts else "none",
        threshold="none",
        reason="they are read as text: they end no turn, and the chat template is put around them once more",
        next_step="Write conversations as lists of {role, content}, and take such tokens out.",
        otherwise="warn",
    )


def _control_tokens_of_answers(tokenizer: ChatTokenizer, prompts: Sequence[Prompt]) -> list[str]:
    """How many written answers hold control tokens; tags of reasoning are no such tokens there."""
    from ppo_cli.models.control_tokens import found_control_tokens

    found = []
    for prompt in prompts:
        own = found_control_tokens(tokenizer.tokenizer, [prompt.answer or ""])
        tokens = [token for token in control_tokens_in_answer(prompt) + own if not is_tag(token)]
        found += [(prompt.id, tokens[0])] if tokens else []
    return [f"{len(found)} written answers hold some, such as that of '{found[0][0]}' ({found[0][1]})"] if found else []


def conversation_check(tokenizer: ChatTokenizer, prompts: Sequence[Prompt]) -> list[Check]:
    """Whether the template keeps every turn of the prompts that are conversations; no check where there are none."""
    conversations = [prompt for prompt in prompts if prompt.messages]
    if not conversations:
        return []
    cut = [prompt for prompt in conversations if not _keeps_every_turn(tokenizer, prompt)]
    return [
        Check.from_condition(
            "conversations are rendered whole",
            not cut,
            value=f"the template drops turns of {len(cut)} of {len(conversations)}, such as '{cut[0].id}'"
            if cut
            else f"all turns of {len(conversations)}",
            threshold="every turn is in the rendered prompt",
            reason="the model never reads what the template drops",
            next_step="Use another template, or put the dropped turns into the user's.",
        )
    ]


def _keeps_every_turn(tokenizer: ChatTokenizer, prompt: Prompt) -> bool:
    from ppo_cli.models.chat_rendering import render_chat

    turns = [{"role": turn.role, "content": turn.content} for turn in prompt.messages]
    rendered = render_chat(tokenizer.tokenizer, turns, add_generation_prompt=True)
    return all(split_reasoning(turn.content)[1].strip() in rendered for turn in prompt.messages)


def _template_check(holds: bool, value: str, next_step: str) -> Check:
    return Check.from_condition(
        "chat template",
        holds,
        value=value,
        threshold="keeps every turn and marks it",
        reason="the model never reads what the template drops or does not mark",
        next_step=next_step,
    )


def _padding_check(tokenizer: ChatTokenizer) -> Check:
    return Check.from_condition(
        "pad differs from EOS",
        tokenizer.pad_id != tokenizer.stop_ids[0],
        value=f"pad {tokenizer.pad_id}, stop tokens {', '.join(map(str, tokenizer.stop_ids))}",
        threshold="different tokens",
        reason="with one token for both, PPO never learns to end an answer",
        next_step="Give the tokenizer a pad token of its own.",
    )


def _generation_config_check(folder: Path) -> Check:
    try:
        config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = {}
    if not isinstance(config, dict):
        config = {}
    active = [f"{name} {config[name]}" for name, neutral in NEUTRAL.items() if config.get(name) not in neutral]
    return Check.from_condition(
        "generation_config is neutral",
        not active,
        value=", ".join(active)[:80] if active else "no penalty, minimum length or forced token is set",
        threshold="no such setting",
        reason="it would count as KL although the policy did not change",
        next_step="It is not applied here and is written back into checkpoints; deploy without it to get what was "
        "trained.",
        otherwise="warn",
    )


def _vocabulary_check(tokenizer: ChatTokenizer, folder: Path) -> Check:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows = int(config.get("text_config", config)["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        rows = len(tokenizer.tokenizer)
    tokens = len(tokenizer.tokenizer)
    return Check.from_condition(
        "every token has an embedding",
        tokens <= rows,
        value=f"{tokens} tokens, {rows} rows of embeddings",
        threshold="at least one row per token",
        reason="a token without an embedding ends the run with an error",
        next_step="Use the tokenizer that belongs to this model.",
    )
