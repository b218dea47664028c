"""What is said of the critic's explained variance."""

import pytest

from ppo_cli.reports.critic import critic_line, later_explained_variance


def test_the_later_half_counts_and_updates_without_varying_returns_do_not():
    assert later_explained_variance([-3.0, -2.0, 0.2, None, 0.4]) == pytest.approx(0.3)
    assert later_explained_variance([0.5]) == 0.5
    assert later_explained_variance([0.5, None]) is None
    assert later_explained_variance([]) is None


@pytest.mark.parametrize(
    ("explained", "line"),
    [
        (0.42, "critic: explained variance 0.42 in the later updates"),
        (0.02, "critic: explained variance 0.02 in the later updates; idle, so PPO learns from the rewards alone"),
        (-0.04, "critic: explained variance −0.04 in the later updates; idle, so PPO learns from the rewards alone"),
        (None, "critic: nothing to explain, the returns do not vary"),
    ],
)
def test_a_critic_that_explains_next_to_nothing_is_called_idle(explained, line):
    assert critic_line(explained) == line
