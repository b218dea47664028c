"""What each of two processes checks; run by `workflows/two_processes.py`."""

import os

import pytest
import torch
from accelerate import PartialState

from ppo_cli.engine.distributed import before_joining, join_process_group
from ppo_cli.errors import CheckFailedError

with before_joining():  # each on its own, although accelerate's state is asked for
    assert "RANK" not in os.environ
    assert PartialState(cpu=True).num_processes == 1
process_group = join_process_group("cpu")
assert process_group.world_size == 2
assert process_group.is_main == (process_group.rank == 0)

shard = process_group.shard("abcde")
assert shard == (list("ace"), list("bd"))[process_group.rank]
assert process_group.gather([letter.upper() for letter in shard]) == list("ABCDE")

rows = torch.arange(10.0).view(5, 2)
for whole in (rows, rows[:4], rows > 3, rows.long()[:, 0], rows.to(torch.bfloat16)[:1]):
    gathered = process_group.gather_rows(whole[process_group.rank :: 2])
    assert gathered.dtype == whole.dtype
    assert torch.equal(gathered, whole)

pair = [torch.full((2, 2), float(process_group.rank + 1)), torch.tensor([10.0 * process_group.rank])]
process_group.all_reduce_(pair)
assert torch.equal(pair[0], torch.full((2, 2), 3.0))
assert torch.equal(pair[1], torch.tensor([10.0]))

if process_group.is_main:
    process_group.broadcast("evaluate", 3, ["p1"])
else:
    assert process_group.receive() == ("evaluate", 3, ["p1"])

with process_group.raise_everywhere():
    quiet = True


def fail_in_the_second():
    with process_group.raise_everywhere():
        if process_group.rank == 1:
            raise CheckFailedError("the reward broke", "fix it")


with pytest.raises(CheckFailedError, match="the reward broke fix it"):
    fail_in_the_second()
