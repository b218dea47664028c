"""All alarms in the order in which they are to be read: what makes the evidence void comes first.

Not here: the alarms themselves.
"""

from __future__ import annotations

from ppo_cli.alarms.eval_contamination import eval_like_train
from ppo_cli.alarms.narrow_data import data_too_narrow
from ppo_cli.alarms.no_learning import nothing_moves
from ppo_cli.alarms.policy_drift import kl_too_small
from ppo_cli.alarms.reward_hacking import reward_too_clever
from ppo_cli.alarms.run_history import Seen
from ppo_cli.alarms.too_many_changes import production_at_once
from ppo_cli.records.checks import Alarm

ALARMS = (eval_like_train, nothing_moves, kl_too_small, reward_too_clever, data_too_narrow, production_at_once)


def ring(seen: Seen) -> tuple[Alarm, ...]:
    """Every alarm that rings on what was seen."""
    return tuple(alarm for check in ALARMS if (alarm := check(seen)) is not None)
