"""PPO's formulas, against numbers worked out by hand and against their properties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppo_cli.engine import ppo_math

MASK = torch.tensor([[True, True, True], [True, True, False]])


def test_whitening_gives_mean_0_and_variance_1_over_the_mask_alone():
    values = torch.tensor([[1.0, 5.0, 2.0], [-3.0, 4.0, 1e6]])
    white = ppo_math.whiten(values, MASK)[MASK]
    assert float(white.mean()) == pytest.approx(0, abs=1e-6)
    assert float(white.var()) == pytest.approx(1, abs=1e-5)


def test_whitening_can_keep_the_mean():
    values = torch.tensor([[1.0, 5.0, 2.0], [-3.0, 4.0, 0.0]])
    white = ppo_math.whiten(values, MASK, keep_mean=True)[MASK]
    assert float(white.mean()) == pytest.approx(float(values[MASK].mean()), abs=1e-6)
    assert float(white.var()) == pytest.approx(1, abs=1e-5)


def test_kl_estimators_by_hand():
    logprobs, reference = torch.tensor([[math.log(0.5)]]), torch.tensor([[math.log(0.25)]])
    assert float(ppo_math.kl_penalty(logprobs, reference, "k1")) == pytest.approx(math.log(2))
    assert float(ppo_math.kl_penalty(logprobs, reference, "k3")) == pytest.approx(0.5 - 1 + math.log(2))


def test_both_estimators_have_the_kl_as_their_mean():
    torch.manual_seed(0)
    p, q = torch.log_softmax(torch.randn(7), 0), torch.log_softmax(torch.randn(7), 0)
    exact = float((p.exp() * (p - q)).sum())
    for estimator in ("k1", "k3"):
        assert float((p.exp() * ppo_math.kl_penalty(p, q, estimator)).sum()) == pytest.approx(exact, rel=1e-5)


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_k3_is_never_negative(policy, reference):
    # float32 rounds differences of near-equal log-probabilities
    assert float(ppo_math.kl_penalty(torch.tensor(policy), torch.tensor(reference), "k3")) >= -1e-6


def test_the_score_stands_after_the_answer_or_on_its_last_token():
    penalty = torch.tensor([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]])
    rewards = ppo_math.per_token_rewards(penalty, torch.tensor([10.0, 20.0]), torch.tensor([3, 1]), kl_coef=0.5)
    assert rewards.tolist() == [[-0.5, -1.0, 8.5], [-0.5, 20.0, 0.0]]


def test_the_mean_of_a_prompts_other_answers_by_hand():
    # two prompts with three answers each: 1, 2, 6 and 4, 4, 4; 1 - (2 + 6) / 2 = -3, 2 - 3.5 = -1.5, 6 - 1.5 = 4.5
    scores = torch.tensor([1.0, 4.0, 2.0, 4.0, 6.0, 4.0])
    assert ppo_math.minus_other_answers(scores, 3).tolist() == [-3.0, 0.0, -1.5, 0.0, 4.5, 0.0]
    assert ppo_math.minus_other_answers(scores, 1) is scores


def test_advantages_by_hand():
    # delta_1 = 2 - 1 = 1; delta_0 = 1 + 0.9 * 1 - 0.5 = 1.4; A_0 = 1.4 + 0.9 * 0.8 * 1 = 2.12
    advantages, returns = ppo_math.gae(
        torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 1.0]]), gamma=0.9, gae_lambda=0.8
    )
    torch.testing.assert_close(advantages, torch.tensor([[2.12, 1.0]]))
    torch.testing.assert_close(returns, torch.tensor([[2.62, 2.0]]))


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.floats(0.5, 1.0), st.integers(0, 99))
def test_lambda_1_gives_discounted_returns_and_lambda_0_one_step_errors(rows, steps, gamma, seed):
    generator = torch.Generator().manual_seed(seed)
    rewards, values = (torch.randn(rows, steps, generator=generator, dtype=torch.float64) for _ in range(2))
    _, returns = ppo_math.gae(rewards, values, gamma, 1.0)
    powers = gamma ** torch.arange(steps, dtype=torch.float64)
    for step in range(steps):
        torch.testing.assert_close(returns[:, step], (rewards[:, step:] * powers[: steps - step]).sum(1))
    errors, _ = ppo_math.gae(rewards, values, gamma, 0.0)
    following = torch.cat([values[:, 1:], torch.zeros(rows, 1, dtype=torch.float64)], 1)
    torch.testing.assert_close(errors, rewards + gamma * following - values)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [(1.5, 1.0, -1.2, True), (0.5, 1.0, -0.5, False), (0.5, -1.0, 0.8, True), (1.5, -1.0, 1.5, False)],
)
def test_policy_loss_takes_the_worse_of_plain_and_clipped(ratio, advantage, loss, clipped):
    result, was_clipped = ppo_math.policy_loss(torch.tensor(math.log(ratio)), torch.tensor(advantage), cliprange=0.2)
    assert float(result) == pytest.approx(loss)
    assert bool(was_clipped) is clipped


def test_a_score_reaches_the_last_token_whole_whatever_the_other_answers_length():
    # lambda 0.8, gamma 0.9; alone: A_1 = 3 - 1, A_0 = 0.9 * 1 - 0.5 + 0.72 * 2. Beside a longer answer the score stands
    # on the step after, of value 7, and nothing changes.
    alone, _ = ppo_math.gae(torch.tensor([[0.0, 3.0]]), torch.tensor([[0.5, 1.0]]), 0.9, 0.8, torch.tensor([2]))
    assert alone.tolist() == [pytest.approx([1.84, 2.0])]
    rewards, values = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 1.0]]), torch.tensor([[0.5, 1.0, 7.0], [0.0, 0.0, 0.0]])
    beside, _ = ppo_math.gae(rewards, values, 0.9, 0.8, torch.tensor([2, 3]))
    torch.testing.assert_close(beside[0, :2], alone[0])
    torch.testing.assert_close(beside[1], torch.tensor([0.72**2, 0.72, 1.0]))


def test_with_lambda_and_gamma_1_the_lengths_change_no_bit():
    generator = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(5, 7, generator=generator) for _ in range(2))
    with_lengths = ppo_math.gae(rewards, values, 1.0, 1.0, torch.tensor([1, 3, 7, 6, 2]))
    without = ppo_math.gae(rewards, values, 1.0, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(with_lengths, without, strict=True))


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [
        (5.0, -1.0, 3.0, True),  # without the bound 5
        (2.0, -1.0, 2.0, False),
        (0.5, -1.0, 0.8, True),  # equation 7 holds below it
        (5.0, 1.0, -1.2, True),  # a good token has no such bound
        (0.1, 1.0, -0.1, False),
    ],
)
def test_a_dual_clip_bounds_the_loss_of_bad_tokens_alone(ratio, advantage, loss, clipped):
    log_ratio = torch.tensor(math.log(ratio), requires_grad=True)
    result, was_clipped = ppo_math.policy_loss(log_ratio, torch.tensor(advantage), 0.2, dual_clip=3.0)
    result.backward()
    assert float(result.detach()) == pytest.approx(loss)
    assert bool(was_clipped) is clipped
    assert (float(log_ratio.grad) == 0) is clipped


def test_no_log_ratio_overflows_and_an_ordinary_one_changes_no_bit():
    losses, _ = ppo_math.policy_loss(torch.tensor([200.0, -200.0]), torch.tensor([-1.0, -1.0]), cliprange=0.2)
    assert torch.isfinite(losses).all()
    ordinary = torch.linspace(-19, 19, 99)
    losses, _ = ppo_math.policy_loss(ordinary, -torch.ones(99), cliprange=0.2)
    assert torch.equal(losses, torch.max(ordinary.exp(), ordinary.exp().clamp(0.8, 1.2)))


def test_what_the_prompt_explains_is_taken_off_by_a_line_through_the_other_answers():
    # for the first: a line through (1, 1), (2, 3), (3, 2) has slope 1/2 and passes (2, 2); 4 - 1/2 * (0 - 2) = 5
    scores, known = torch.tensor([4.0, 1.0, 3.0, 2.0]), torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert float(ppo_math.minus_explained(scores, known)[0]) == pytest.approx(5.0)
    assert torch.equal(ppo_math.minus_explained(scores, torch.full((4,), 0.3)), scores)
    torch.manual_seed(0)
    known = torch.randn(200)
    rest = torch.randn(200)
    left = ppo_math.minus_explained(rest - 2 * known, known)
    assert float(left.var()) < 1.1 * float(rest.var())


def test_the_line_for_an_answer_does_not_depend_on_that_answer():
    torch.manual_seed(0)
    scores, known = torch.randn(8), torch.randn(8)
    other = scores.clone()
    other[3] += 10
    taken_off = scores - ppo_math.minus_explained(scores, known)
    assert float((other - ppo_math.minus_explained(other, known))[3]) == pytest.approx(float(taken_off[3]), abs=1e-5)


def test_rewards_are_cut_on_both_sides_or_not_at_all():
    scores = torch.tensor([-9.0, 0.5, 4.0])
    assert ppo_math.limit_rewards(scores, 2.0).tolist() == [-2.0, 0.5, 2.0]
    assert ppo_math.limit_rewards(scores, None) is scores


def test_a_clipped_token_has_no_gradient():
    log_ratio = torch.tensor([math.log(1.5), math.log(1.1)], requires_grad=True)
    losses, _ = ppo_math.policy_loss(log_ratio, torch.ones(2), cliprange=0.2)
    losses.sum().backward()
    assert log_ratio.grad.tolist() == pytest.approx([0.0, -1.1])


def test_value_loss_by_hand():
    losses = ppo_math.value_loss(torch.tensor([2.0, 0.1]), torch.zeros(2), torch.tensor([2.0, 1.0]), cliprange=0.2)
    assert losses.tolist() == pytest.approx([0.5 * 1.8**2, 0.5 * 0.9**2])


def test_explained_variance_of_a_perfect_a_mean_and_no_critic():
    returns = torch.tensor([1.0, 2.0, 3.0])
    assert ppo_math.explained_variance(returns.clone(), returns) == pytest.approx(1.0)
    assert ppo_math.explained_variance(torch.full((3,), 2.0), returns) == pytest.approx(0.0)
    assert ppo_math.explained_variance(returns, torch.ones(3)) is None


def test_the_kl_controller_moves_towards_its_target_and_never_by_more_than_a_fifth():
    def steer(kl):
        return ppo_math.adaptive_kl_coef(0.1, kl, target=2.0, episodes=64, horizon=640)

    assert steer(2.0) == 0.1
    assert steer(2.2) == pytest.approx(0.1 * 1.01)
    assert steer(100.0) == pytest.approx(0.1 * 1.02)
    assert steer(0.0) == pytest.approx(0.1 * 0.98)


def test_the_learning_rate_rises_then_stays_or_falls_by_hand():
    factors = [
        [ppo_math.learning_rate_factor(done, 6, 2, kind) for done in range(7)] for kind in ("constant", "linear")
    ]
    assert factors[0] == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1])
    assert factors[1] == pytest.approx([1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4, 0])
