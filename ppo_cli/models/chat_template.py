"""Probes a chat template: whether it keeps the texts, marks who speaks, and ends a turn.

Not here: the checks on what was found (`preflight.tokenizer_checks`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ppo_cli.models.chat_rendering import render_chat
from ppo_cli.models.loading import ChatTokenizer

USER_TEXT, ANSWER_TEXT = "which harbour is the deepest", "the northern one"
"""Texts that a template is rendered with."""


@dataclass(frozen=True, kw_only=True)
class TemplateProbe:
    """What a template does with a question and an answer."""

    problem: str | None
    """Why it cannot be rendered, or None; with a problem the other fields keep their defaults."""
    keeps_user: bool = False
    """The user's text is in the rendered prompt."""
    keeps_system: bool = False
    """The system prompt is in the rendered prompt, or there is none."""
    opening: str = ""
    """Text before the user's, without a system turn."""
    closing: str = ""
    """Text between the user's and the answer."""
    ending: str = ""
    """Text after an answer, outer blanks removed."""
    end_id: int | None = None
    """First token of the ending."""

    @property
    def marks_turns(self) -> bool:
        """Whether something other than blanks separates the user's text from the answer."""
        return bool(self.closing.strip())


def probe_template(tokenizer: ChatTokenizer) -> TemplateProbe:
    """Renders a question with and without its answer, and finds their texts in the result."""
    try:
        with_system = _render(tokenizer, tokenizer.system_prompt, answered=False)
        without_system = _render(tokenizer, None, answered=False)
    except Exception as error:  # noqa: BLE001 - a template is a program, and raises what it likes
        return TemplateProbe(problem=(str(error).strip() or type(error).__name__).splitlines()[0])
    try:
        answered = _render(tokenizer, None, answered=True)
    except Exception:  # noqa: BLE001
        answered = ""
    ending = answered.rpartition(ANSWER_TEXT)[2].strip() if ANSWER_TEXT in answered else ""
    ids = tokenizer.tokenizer(ending, add_special_tokens=False)["input_ids"] if ending else []
    opening, user_text, closing = without_system.partition(USER_TEXT)
    return TemplateProbe(
        problem=None,
        keeps_user=USER_TEXT in with_system,
        keeps_system=not tokenizer.system_prompt or tokenizer.system_prompt.strip() in with_system,
        opening=opening if user_text else "",
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
    return render_chat(tokenizer.tokenizer, messages, add_generation_prompt=not answered)
