"""Forward passes of policy, reference and critic over rollouts, a few episodes of similar length at a time.

The frozen lower layers run once per update; every pass here starts from their output, the activations below the split.

Not here: the layers (`split_decoder`), log-probabilities from hidden states (`logprobs`), losses (`policy_update`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from ppo_cli.engine.critic import CriticModule
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.logprobs import token_logprobs, token_logprobs_and_entropy
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.rollouts import Rollouts, micro_batches
from ppo_cli.engine.tokens_per_pass import TokensPerPass
from ppo_cli.records.events import EventHandler, Phase, Progress

T = TypeVar("T")

MAX_ROWS_PER_PASS = 32
"""Episodes in one pass through the frozen layers, where their output was not recorded while sampling."""


@dataclass(frozen=True)
class ForwardOutputs:
    """What policy, reference and critic give for n episodes before an update."""

    logprobs: torch.Tensor
    """[n, T] of the policy, nats, 0 outside the answer."""
    ref_logprobs: torch.Tensor
    """[n, T] of the reference, nats, 0 outside the answer."""
    entropies: torch.Tensor
    """[n, T] of the policy's next-token distributions, nats, 0 outside the answer."""
    features: torch.Tensor
    """[n, T, width] final hidden states of the reference."""
    values: torch.Tensor
    """[n, T] of the critic, units of reward; undefined after the end."""


@dataclass(frozen=True)
class ForwardPasses:
    """The models of one training, run over its rollouts."""

    policy: Policy
    """Holds the reference too."""
    critic: CriticModule
    temperature: float
    """Of the rollouts; divides the logits in training too."""
    process_group: ProcessGroup
    """Whose processes pass through sharded layers together, equally often."""
    on_event: EventHandler
    """Called with the progress of `before_update`."""
    size: TokensPerPass
    """Of a pass through the trained layers."""

    def lower_activations(self, rollouts: Rollouts) -> torch.Tensor:
        """[n, length, width] below the split: those recorded while sampling, or else computed now."""
        if rollouts.activations is not None:
            return rollouts.activations
        return torch.cat([self.policy.decoder.run_lower(ids) for ids in rollouts.ids.split(MAX_ROWS_PER_PASS)])

    def before_update(self, rollouts: Rollouts, activations: torch.Tensor) -> ForwardOutputs:
        """Policy, reference and critic over all n episodes; called without gradient.

        Args:
            rollouts: n episodes.
            activations: [n, length, width] below the split.
        """
        return self.fitting(lambda: self._before_update(rollouts, activations), range(len(rollouts.ids)), rollouts)

    def _before_update(self, rollouts: Rollouts, activations: torch.Tensor) -> ForwardOutputs:
        count, steps = rollouts.targets.shape
        logprobs, ref_logprobs, entropies, values = (
            torch.zeros((count, steps), device=rollouts.ids.device) for _ in range(4)
        )
        width = self.policy.head.weight.shape[1]
        features = self.policy.head.weight.new_zeros((count, steps, width))
        positions = rollouts.answer_positions()
        done = 0
        self.on_event(Phase(name="old and reference log-probabilities", total=count, unit="answers"))
        groups = list(self.micro_batches(range(count), rollouts))
        for rows, length in groups + groups[-1:] * self.passes_missing(len(groups)):
            ids, mask = rollouts.ids[rows, :length], rollouts.response_mask[rows]
            lower, targets = activations[rows, :length], rollouts.targets[rows][mask]
            hidden = _take_positions(self.policy.policy_hidden(lower, ids), positions[rows])
            features[rows] = _take_positions(self.policy.reference_hidden(lower, ids), positions[rows])
            values[rows] = self._value_predictions(features[rows], lower, ids, positions[rows])
            policy_logprobs, policy_entropies = token_logprobs_and_entropy(
                self.policy.head, hidden[mask], targets, self.temperature
            )
            reference_logprobs = token_logprobs(self.policy.head, features[rows][mask], targets, self.temperature)
            logprobs[rows], entropies[rows] = _fill(policy_logprobs, mask), _fill(policy_entropies, mask)
            ref_logprobs[rows] = _fill(reference_logprobs, mask)
            done = min(count, done + len(rows))
            self.on_event(Progress(done=done))
        return ForwardOutputs(
            logprobs=logprobs, ref_logprobs=ref_logprobs, entropies=entropies, features=features, values=values
        )

    def logprobs_and_values(
        self, rollouts: Rollouts, activations: torch.Tensor, features: torch.Tensor, rows: Sequence[int], length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and values of some episodes as the policy and the critic are now, with gradient.

        Args:
            rollouts: n episodes.
            activations: [n, length, width] below the split.
            features: [n, T, width] final hidden states of the reference.
            rows: the episodes of one micro-batch.
            length: tokens of the longest of them, prompt included.

        Returns:
            Log-probabilities where the response mask is true [tokens], and values where the value mask is [steps].
        """
        ids, lower = rollouts.ids[rows, :length], activations[rows, :length]
        positions, mask = rollouts.answer_positions()[rows], rollouts.response_mask[rows]
        hidden = _take_positions(self.policy.policy_hidden(lower, ids), positions)
        logprobs = token_logprobs(self.policy.head, hidden[mask], rollouts.targets[rows][mask], self.temperature)
        values = self._value_predictions(features[rows], lower, ids, positions)
        return logprobs, values[rollouts.value_mask[rows]]

    def passes_missing(self, own: int) -> int:
        """How many passes another process is going to make beyond this one's; 0 where none waits for another.

        Args:
            own: passes that this process is going to make; all processes say theirs before the first pass.
        """
        return max(self.process_group.gather([own])) - own if self.process_group.sharded else 0

    def zero_losses(
        self, rollouts: Rollouts, activations: torch.Tensor, features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses of 0 with gradients of 0, from a pass that is made only since another process makes one.

        Args:
            rollouts: n episodes; the shortest is passed.
            activations: [n, length, width] below the split.
            features: [n, T, width] final hidden states of the reference.

        Returns:
            One of the policy and one of the critic.
        """
        lengths = rollouts.prompt_lengths + rollouts.lengths
        row = int(lengths.argmin())
        logprobs, values = self.logprobs_and_values(rollouts, activations, features, [row], int(lengths[row]))
        return 0.0 * logprobs.sum(), 0.0 * values.sum()

    def micro_batches(self, rows: Sequence[int], rollouts: Rollouts) -> Iterator[tuple[list[int], int]]:
        """Groups of `rows` that fit into one pass, each with the tokens of its longest episode."""
        return micro_batches(rows, _lengths(rollouts), self.size.tokens)

    def fitting(self, work: Callable[[], T], rows: Sequence[int], rollouts: Rollouts) -> T:
        """Does `work`, which passes micro-batches of these rows, with what fits into memory (`TokensPerPass.fit`)."""
        lengths = _lengths(rollouts)
        longest = max((lengths[row] for row in rows), default=0)
        return self.size.fit(work, longest, alone=not self.process_group.sharded)

    def _value_predictions(
        self, features: torch.Tensor, lower: torch.Tensor, ids: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """The critic's values at given positions: [rows, T]."""
        if self.critic.layers is None:
            return self.critic.head(features)
        return self.critic.head(_take_positions(self.critic.own_hidden(lower, ids), positions))


def _lengths(rollouts: Rollouts) -> list[int]:
    """Tokens of each episode, prompt and answer."""
    lengths: list[int] = (rollouts.prompt_lengths + rollouts.lengths).tolist()
    return lengths


def _take_positions(hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Hidden states at given positions: [rows, length, width] and [rows, T] to [rows, T, width]."""
    positions = positions.clamp(max=hidden.shape[1] - 1)
    return hidden.gather(1, positions.unsqueeze(2).expand(-1, -1, hidden.shape[2]))


def _fill(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Values at the true positions of a mask, 0 elsewhere: [tokens] to the mask's shape."""
    full = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
    full[mask] = values
    return full
