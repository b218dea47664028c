"""A reward function in the shape TRL expects: an `nn.Module` with a backbone and a `score`.

TRL hands over token ids alone, with padding replaced by 0 and without saying where the prompt ends. So prompts
are padded to one fixed width, which makes that place a constant, and are looked up by their tokens.

Not here: any reward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.reward_function import RewardFunction


class RewardModule(nn.Module):
    """Scores (prompt, answer) token rows with a Python function; TRL's `get_reward` calls it unpatched."""

    base_model_prefix = "backbone"

    def __init__(
        self,
        reward: RewardFunction,
        tokenizer: ChatTokenizer,
        rendered: Mapping[tuple[int, ...], Prompt],
        others: Mapping[str, Sequence[Answer]],
        prompt_width: int,
    ) -> None:
        """Keeps what is needed to turn ids back into prompts and answers.

        Args:
            reward: the guarded reward.
            tokenizer: decodes answers, knows pad and stops.
            rendered: prompt by its token ids.
            others: the other answers by prompt id, if there are any.
            prompt_width: fixed number of tokens, padding included, before each answer.
        """
        super().__init__()
        self.backbone = _ScoredRows(self.rewards)
        self.score = nn.Identity()
        self._reward, self._tokens, self._others = reward, tokenizer, others
        self._rendered, self._prompt_width = rendered, prompt_width

    def rewards(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """One reward a row, float32 [rows].

        Args:
            ids: [rows, prompt_width + answer], padding replaced by 0.
            mask: the same shape, false on padding.
        """
        prompts, answers = [], []
        for row, keep in zip(ids.tolist(), mask.bool().tolist(), strict=True):
            prompt_ids = tuple(token for token, kept in zip(row, keep, strict=True) if kept)
            width = sum(keep[: self._prompt_width])
            answer_ids = list(prompt_ids[width:])
            prompts.append(self._rendered[prompt_ids[:width]])
            ended = bool(answer_ids) and answer_ids[-1] in self._tokens.stop_ids
            text = self._tokens.decode(answer_ids)
            answers.append(Answer(text=text, token_count=len(answer_ids), finish="eos" if ended else "length"))
        scored = self._reward(prompts, answers, [self._others.get(prompt.id, ()) for prompt in prompts])
        return torch.tensor([item.reward for item in scored], dtype=torch.float32, device=ids.device)


class _ScoredRows(nn.Module):
    """Spreads each row's reward over its places, so that whichever place TRL reads holds it."""

    def __init__(self, rewards: Any) -> None:  # noqa: ANN401 - a bound method
        super().__init__()
        self._rewards = rewards

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_kwargs: Any) -> SimpleNamespace:  # noqa: ANN401
        rewards = self._rewards(input_ids, attention_mask)
        return SimpleNamespace(hidden_states=(rewards.view(-1, 1, 1).expand(-1, input_ids.shape[1], 1),))
