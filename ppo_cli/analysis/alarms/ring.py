"""All alarms in the order in which they are to be read: what makes the evidence void comes first.

Not here: the alarms themselves.
"""

from __future__ import annotations

from ppo_cli.analysis.alarms.data_too_narrow import data_too_narrow
from ppo_cli.analysis.alarms.eval_like_train import eval_like_train
from ppo_cli.analysis.alarms.kl_too_small import kl_too_small
from ppo_cli.analysis.alarms.nothing_moves import nothing_moves
from ppo_cli.analysis.alarms.production_at_once import production_at_once
from ppo_cli.analysis.alarms.reward_too_clever import reward_too_clever
from ppo_cli.analysis.alarms.seen import Seen
from ppo_cli.records.findings import Alarm

ALARMS = (eval_like_train, nothing_moves, kl_too_small, reward_too_clever, data_too_narrow, production_at_once)


def ring(seen: Seen) -> tuple[Alarm, ...]:
    """Every alarm that rings on what was seen."""
    return tuple(alarm for check in ALARMS if (alarm := check(seen)) is not None)
