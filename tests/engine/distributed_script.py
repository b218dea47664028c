"""What each process of a team of two checks; started by test_team."""

import pytest
import torch

from ppo_cli.engine.distributed import join_process_group
from ppo_cli.errors import GateError

team = join_process_group("cpu")
assert team.size == 2
assert team.leads == (team.rank == 0)

share = team.share("abcde")
assert share == (list("ace"), list("bd"))[team.rank]
assert team.merged([letter.upper() for letter in share]) == list("ABCDE")

rows = torch.arange(10.0).view(5, 2)
assert torch.equal(team.rows(rows[team.rank :: 2]), rows)

pair = [torch.full((2, 2), float(team.rank + 1)), torch.tensor([10.0 * team.rank])]
team.total(pair)
assert torch.equal(pair[0], torch.full((2, 2), 3.0))
assert torch.equal(pair[1], torch.tensor([10.0]))

if team.leads:
    team.lead("answer", 3, ["p1"])
else:
    assert team.follow() == ("answer", 3, ["p1"])

with team.failing_together():
    quiet = True


def fail_in_the_second():
    with team.failing_together():
        if team.rank == 1:
            raise GateError("the reward broke", "mend it")


with pytest.raises(GateError, match="the reward broke mend it"):
    fail_in_the_second()
