"""Prompts together with their token ids, so that each prompt is tokenized once per command.

Not here: tokenizing (`resolve`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ppo_cli.records.answers import Prompt


@dataclass(frozen=True)
class TokenizedPrompts:
    """Prompts in the order of their file, each with the token ids that the model reads."""

    prompts: Sequence[Prompt]
    token_ids: Sequence[list[int]]
    """One list per prompt, chat template applied."""

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[tuple[Prompt, list[int]]]:
        return zip(self.prompts, self.token_ids, strict=True)

    def ids_by_prompt(self) -> dict[str, list[int]]:
        """The token ids by prompt id."""
        return {prompt.id: ids for prompt, ids in self}

    def only(self, prompt_ids: Collection[str]) -> TokenizedPrompts:
        """Those with one of these ids, in the same order."""
        chosen = [(prompt, ids) for prompt, ids in self if prompt.id in prompt_ids]
        return TokenizedPrompts([prompt for prompt, _ in chosen], [ids for _, ids in chosen])
