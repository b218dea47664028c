"""A reward function as a TRL reward model: an `nn.Module` with a backbone and a `score`, for TRL's own loop.

TRL passes token ids alone, with padding replaced by 0 and without saying where the prompt ends. So prompts are padded
to one fixed width, which makes that position a constant, and are looked up by their token ids.

Not here: any reward. Our own loop calls the reward function itself; the tests and loop (b) of `bench.py` use this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.reward_function import RewardFunction


class RewardModule(nn.Module):
    """Scores (prompt, answer) token rows with a reward function; TRL's `get_reward` calls it unpatched."""

    base_model_prefix = "backbone"

    def __init__(
        self,
        reward: RewardFunction,
        tokenizer: ChatTokenizer,
        prompts: Mapping[tuple[int, ...], Prompt],
        baseline_answers: Mapping[str, Sequence[Answer]],
    ) -> None:
        """Keeps what turns ids back into prompts and answers.

        Args:
            reward: of prompts and answers.
            tokenizer: decodes answers, knows pad and stop tokens.
            prompts: by their token ids; the longest gives the width that all are padded to.
            baseline_answers: by prompt id; empty if the reward subtracts no baseline.
        """
        super().__init__()
        self.backbone = _Backbone(self.rewards)
        self.score = nn.Identity()
        self._reward, self._tokenizer = reward, tokenizer
        self._prompts, self._baseline_answers = prompts, baseline_answers
        self._prompt_width = max(map(len, prompts))

    def rewards(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """One reward per row, float32 [rows].

        Args:
            ids: [rows, prompt width + answer], padding replaced by 0.
            mask: the same shape, false on padding.
        """
        prompts, answers = [], []
        for row, row_mask in zip(ids.tolist(), mask.bool().tolist(), strict=True):
            token_ids = tuple(token for token, is_token in zip(row, row_mask, strict=True) if is_token)
            prompt_length = sum(row_mask[: self._prompt_width])
            answer_ids = list(token_ids[prompt_length:])
            prompts.append(self._prompts[token_ids[:prompt_length]])
            ended = bool(answer_ids) and answer_ids[-1] in self._tokenizer.stop_ids
            text = self._tokenizer.decode(answer_ids)
            answers.append(Answer(text=text, token_count=len(answer_ids), finish="eos" if ended else "length"))
        baselines = [self._baseline_answers.get(prompt.id, ()) for prompt in prompts]
        scores = self._reward(prompts, answers, baselines)
        return torch.tensor([score.reward for score in scores], dtype=torch.float32, device=ids.device)


class _Backbone(nn.Module):
    """Gives each row's reward at every position, whichever of them TRL reads."""

    def __init__(self, rewards: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._rewards = rewards

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_kwargs: Any) -> SimpleNamespace:
        rewards = self._rewards(input_ids, attention_mask)
        return SimpleNamespace(hidden_states=(rewards.view(-1, 1, 1).expand(-1, input_ids.shape[1], 1),))
