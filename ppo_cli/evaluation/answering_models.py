"""The models of one evaluation: the policy that answers, the reference it is compared with, and their tokenizer.

Not here: sampling from them (`resumable_sampling`), loading them (`setup.start_model`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ppo_cli.evaluation.first_answer_fit import fit_judge
from ppo_cli.models.open_model import OpenModel

if TYPE_CHECKING:
    from ppo_cli.engine.distributed import ProcessGroup
    from ppo_cli.engine.policy import Policy
    from ppo_cli.models.loading import ChatTokenizer
    from ppo_cli.models.prompt_fit import PromptFitJudge
    from ppo_cli.rewards.own_measures import OwnMeasures
    from ppo_cli.setup.resolve import ResolvedExperiment


@dataclass(frozen=True, kw_only=True)
class AnsweringModels:
    """The model that answers, the reference it is compared with, and their tokenizer."""

    policy: OpenModel
    reference: OpenModel
    """The same object as `policy` where the reference itself answers."""
    tokenizer: ChatTokenizer
    process_group: ProcessGroup | None = None
    """Where several processes share the prompts."""
    both: Callable[[], AbstractContextManager[None]] = nullcontext
    """Inside this block each process opens the two as often as it likes; outside, all of them open one together."""
    fit_judge: PromptFitJudge | None = None
    """Measures how well answers fit their prompts; None leaves that out."""
    own_measures: OwnMeasures | None = None
    """Those that the config names; None leaves them out."""

    @classmethod
    def at_step(
        cls, policy: Policy, step: int, resolved: ResolvedExperiment, process_group: ProcessGroup | None
    ) -> AnsweringModels:
        """The trained policy after so many updates; at step 0 the reference itself."""
        return cls(
            policy=policy.merged_model if step else policy.reference_model,
            reference=policy.reference_model,
            tokenizer=resolved.tokenizer,
            process_group=process_group,
            both=policy.both_models,
            fit_judge=fit_judge(resolved, policy.reference_model if policy.sharded_layers is not None else None),
            own_measures=resolved.inputs.measures,
        )
