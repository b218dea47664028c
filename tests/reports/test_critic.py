"""What is said of the critic's explained variance."""

import pytest

from ppo_cli.reports.critic import critic_line, critic_words, later_explained_variance


def test_the_later_half_counts_and_updates_without_varying_returns_do_not():
    assert later_explained_variance([-3.0, -2.0, 0.2, None, 0.4]) == pytest.approx(0.3)
    assert later_explained_variance([0.5]) == 0.5
    assert later_explained_variance([0.5, None]) is None
    assert later_explained_variance([]) is None


@pytest.mark.parametrize(
    ("explained", "words", "line"),
    [
        (0.42, "critic's explained variance 0.42", "critic: explained variance 0.42 in the later updates"),
        (
            -0.04,
            "critic idle, explained variance −0.04",
            "critic: explained variance −0.04 in the later updates; idle, so PPO learns from the rewards alone",
        ),
        (None, "nothing to explain for the critic", "critic: nothing to explain, the returns do not vary"),
    ],
)
def test_a_critic_that_explains_next_to_nothing_is_called_idle(explained, words, line):
    assert (critic_words(explained), critic_line(explained)) == (words, line)
