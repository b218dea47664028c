"""Renders a conversation with a model's chat template, within limits.

A template is a program that comes with a model. One that does not end, or that makes a text without end, would stop
every command that reads the model.

Not here: token ids of a conversation (`control_tokens`), probing a template (`chat_template`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers.utils import chat_template_utils

from ppo_cli.records.process_limits import memory_limit
from ppo_cli.records.time_limit import time_limit

MAX_SECONDS = 5.0
"""Processor time of one rendering; ordinary templates take milliseconds."""
MAX_MEMORY_BYTES = 2**30
"""Memory of one rendering."""
MAX_CHARACTERS = 10_000_000
"""Characters of a rendered conversation; no model reads so many."""
MAX_POWER_BITS = 2**16
"""Bits of a power of integers: Python does not interrupt the calculation of a large one."""
MAX_DIGITS = 100
"""Digits that a template rounds to, for the same reason."""


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox of transformers, without calculations that take for ever."""

    intercepted_binops = frozenset({"**"})

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as jinja2 has it
        super().__init__(*args, **options)
        plain_round = self.filters["round"]

        def bounded_round(value: Any, precision: int = 0, method: str = "common") -> Any:  # noqa: ANN401
            if abs(precision) > MAX_DIGITS:
                raise OverflowError(f"it rounds to more than {MAX_DIGITS} digits")
            return plain_round(value, precision, method)

        self.filters["round"] = bounded_round

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        """A power; too large ones are refused."""
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_POWER_BITS:
            raise OverflowError("it calculates a power of too many digits")
        return super().call_binop(context, operator, left, right)


def render_chat(
    tokenizer: Any,  # noqa: ANN401 - transformers is untyped here
    turns: Sequence[Mapping[str, str]],
    *,
    add_generation_prompt: bool,
) -> str:
    """The text of a conversation under the chat template.

    Args:
        tokenizer: with a chat template.
        turns: the messages, each with `role` and `content`.
        add_generation_prompt: whether the text goes on to where the answer begins.

    Raises:
        TimeoutError: the template takes too long.
        OverflowError: its text is too long, or it calculates with numbers that are too large.
        MemoryError: it takes too much memory.
        TemplateError: it cannot render the conversation; a template may raise other errors too.
    """
    chat_template_utils.ImmutableSandboxedEnvironment = _Environment  # it takes no other as an argument
    try:
        with memory_limit(MAX_MEMORY_BYTES), time_limit(MAX_SECONDS, f"it does not end within {MAX_SECONDS:g} s"):
            rendered = tokenizer.apply_chat_template(
                list(turns), add_generation_prompt=add_generation_prompt, tokenize=False
            )
    except MemoryError:
        raise MemoryError(f"it takes more than {MAX_MEMORY_BYTES / 2**30:g} GiB of memory") from None
    if len(rendered) > MAX_CHARACTERS:
        raise OverflowError(f"it makes a text of {len(rendered):,} characters")
    return str(rendered)
