"""All alarms in the order in which they are to be read: what makes the evidence void comes first.

Not here: the alarms themselves.
"""

from __future__ import annotations

from ppo_cli.alarms.eval_contamination import eval_contamination
from ppo_cli.alarms.narrow_data import narrow_data
from ppo_cli.alarms.no_learning import no_learning
from ppo_cli.alarms.policy_drift import policy_drift
from ppo_cli.alarms.reward_hacking import reward_hacking
from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.alarms.too_many_changes import too_many_changes
from ppo_cli.records.checks import Alarm

ALARMS = (eval_contamination, no_learning, policy_drift, reward_hacking, narrow_data, too_many_changes)


def check_all(seen: RunHistory) -> tuple[Alarm, ...]:
    """Every alarm that rings on what was seen."""
    return tuple(alarm for check in ALARMS if (alarm := check(seen)) is not None)
