"""What a chat template does with turns: whether it keeps what is said, marks who says it, and ends what it begins.

Not here: what is made of it (`commands.gate`).
"""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import TemplateError

from ppo_cli.models.loading import ChatTokenizer

USER_TEXT, ANSWER_TEXT = "which harbour is the deepest", "the northern one"
"""Words that a template is tried with."""


@dataclass(frozen=True, kw_only=True)
class TemplateProbe:
    """What a template was seen to do."""

    problem: str | None
    """Why it cannot be rendered, if so; then nothing else was seen."""
    keeps_user: bool = False
    keeps_system: bool = False
    """True where there is no system prompt to keep."""
    opening: str = ""
    """What stands before a user's words, without a system turn."""
    closing: str = ""
    """What stands between a user's words and the answer."""
    ending: str = ""
    """What stands after an answer, without blanks."""
    end_id: int | None = None
    """First token of the ending."""

    @property
    def marks_turns(self) -> bool:
        """Whether an answer begins after something else than blanks."""
        return bool(self.closing.strip())


def probe_template(tokenizer: ChatTokenizer) -> TemplateProbe:
    """Renders a question with and without its answer and looks at what came out."""
    try:
        asked = _render(tokenizer, tokenizer.system_prompt, answered=False)
        alone = _render(tokenizer, None, answered=False)
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        return TemplateProbe(problem=(str(error).strip() or type(error).__name__).splitlines()[0])
    try:
        whole = _render(tokenizer, None, answered=True)
    except (TemplateError, TypeError, ValueError, KeyError):
        whole = ""
    ending = whole.rpartition(ANSWER_TEXT)[2].strip() if ANSWER_TEXT in whole else ""
    ids = tokenizer.tokenizer(ending, add_special_tokens=False)["input_ids"] if ending else []
    opening, found, closing = alone.partition(USER_TEXT)
    return TemplateProbe(
        problem=None,
        keeps_user=USER_TEXT in asked,
        keeps_system=not tokenizer.system_prompt or tokenizer.system_prompt.strip() in asked,
        opening=opening if found else "",
        closing=closing,
        ending=ending,
        end_id=int(ids[0]) if ids else None,
    )


def _render(tokenizer: ChatTokenizer, system: str | None, *, answered: bool) -> str:
    messages = [{"role": "user", "content": USER_TEXT}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    if answered:
        messages.append({"role": "assistant", "content": ANSWER_TEXT})
    return str(tokenizer.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=not answered))
