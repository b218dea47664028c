"""Finds prompts that hold control tokens of a chat format, or are written in one already.

Such a prompt is encoded as text: its tokens end no turn, and the model's own template is applied around it.

Not here: encoding (`models.control_tokens`), conversations as lists of turns (`conversations`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ppo_cli.records.answers import Prompt

CONTROL = re.compile(
    r"<[|｜][A-Za-z_▁]{2,40}[|｜]>|</?(?:start|end)_of_(?:turn|image)>|<(?:bos|eos|pad|unk)>|<s>(?=\s*\[INST\])|</s>"
    r"|\[/?INST\]|<</?SYS>>|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\]"
)
"""Control tokens of the common chat formats: ChatML, Llama 2 and 3, Gemma, Mistral, Phi, DeepSeek."""
TEMPLATED = re.compile(
    r"<\|im_start\|>\s?(?:system|user|assistant)|<start_of_turn>\s?(?:user|model)|<\|start_header_id\|>|\[INST\]"
    r"|<\|(?:user|assistant|system|begin_of_text)\|>|<｜(?:User|Assistant)｜>"
)
"""Marks of a prompt that a chat template was applied to."""
_ASKS = re.compile(r"(?m)^[ \t]{0,8}(?:Human|User|USER|问|用户)[ \t]?[:：]")
_AWAITS = re.compile(r"\n[ \t]{0,8}(?:Assistant|ASSISTANT|AI|Bot|答|助手)[ \t]?[:：]\s{0,8}\Z")
_AWAITS_RESPONSE = re.compile(r"\n[ \t]{0,8}#{2,3}[ \t]?(?:Response|Assistant|Answer|回答)[ \t]?[:：]?\s{0,8}\Z")
"""Plain templates, such as Alpaca's: a line begins with who speaks, and the last line awaits an answer."""
LAST_CHARACTERS = 200


def control_tokens_in(prompt: Prompt) -> list[str]:
    """The control tokens that the turns of a prompt hold, each once."""
    return _control_tokens(turn.content for turn in prompt.chat)


def control_tokens_in_answer(prompt: Prompt) -> list[str]:
    """The control tokens that the written answer to a prompt holds, each once."""
    return _control_tokens([prompt.answer or ""])


def is_templated(prompt: Prompt) -> bool:
    """Whether the last turn is a whole conversation in some chat format."""
    text = prompt.chat[-1].content
    end = text[-LAST_CHARACTERS:]
    in_plain_template = _AWAITS_RESPONSE.search(end) or (_AWAITS.search(end) and _ASKS.search(text))
    return bool(TEMPLATED.search(text) or in_plain_template)


def markup_notices(prompts: Sequence[Prompt]) -> list[str]:
    """A sentence each for prompts that were templated already, control tokens in the others, and those in answers."""
    templated = [prompt for prompt in prompts if is_templated(prompt)]
    forged = [prompt for prompt in prompts if control_tokens_in(prompt) and not is_templated(prompt)]
    notices = []
    if templated:
        notices.append(
            f"{len(templated)} of {len(prompts)} prompts, such as '{templated[0].id}', are already written in a chat "
            "format; they are read as text of one turn of the user, and the model's template is put around it. Write "
            "them as lists of {role, content}."
        )
    if forged:
        notices.append(
            f"{len(forged)} of {len(prompts)} prompts, such as '{forged[0].id}', hold control tokens "
            f"({_some(control_tokens_in(forged[0]))}); they are read as text and end no turn."
        )
    answered = [prompt for prompt in prompts if control_tokens_in_answer(prompt)]
    if answered:
        notices.append(
            f"{len(answered)} of {len(prompts)} written answers, such as that of '{answered[0].id}', hold control "
            f"tokens ({_some(control_tokens_in_answer(answered[0]))}); they are read as text, except an end of "
            "the turn at the end of an answer, which each answer gets anyway."
        )
    return notices


def _control_tokens(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(token for text in texts for token in CONTROL.findall(text)))


def _some(tokens: Iterable[str]) -> str:
    return ", ".join(list(tokens)[:3])
