"""The training loop: it learns, it checks what must agree before the first step, and it stops when it should."""

from dataclasses import replace
from statistics import mean

import pytest
import torch

from ppo_cli.engine.ppo_math import minus_explained
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import CheckFailedError, PpoError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.records.answers import RewardScore
from ppo_cli.records.events import ignore_events
from tests.engine.trainer_inputs import trainer_inputs
from tests.tiny_models import tiny_lm


@pytest.fixture
def build(tiny_config, tiny_model, tmp_path):
    def make(*overrides, reward=None, family="llama", on_event=ignore_events):
        experiment = load_experiment(tiny_config, ["reward.baseline=none", *overrides]).experiment
        inputs = trainer_inputs(experiment, tiny_model, model=tiny_lm(family, seed=3), reward=reward)
        return PolicyTrainer(experiment, inputs, tmp_path / "trl", on_event)

    return make


def run(trainer):
    metrics, episodes = [], []

    def record(row, made, seconds):
        metrics.append(row)
        episodes.extend(made)

    reason = trainer.train(record, lambda update: True)
    return metrics, episodes, reason


def short_is_good(prompts, answers, baseline_answers):
    return [
        RewardScore(reward=-answer.token_count / 4, terms={"short": -answer.token_count / 4}, baseline_terms={})
        for answer in answers
    ]


def test_policy_learns_what_the_reward_asks_for(build):
    metrics, episodes, reason = run(build("ppo.updates=12", "kl.coef=0.0", reward=short_is_good))
    assert reason is None
    assert metrics[-1].mean_answer_tokens < metrics[0].mean_answer_tokens - 1.5
    assert [row.update for row in metrics] == list(range(1, 13))
    assert [episode.episode for episode in episodes] == list(range(1, 12 * 8 + 1))


def test_a_large_kl_coefficient_keeps_the_kl_small(build):
    free, _, _ = run(build("ppo.updates=10", "kl.coef=0.0", reward=short_is_good))
    penalised, _, _ = run(build("ppo.updates=10", "kl.coef=1.0", reward=short_is_good))
    assert penalised[-1].kl < free[-1].kl / 2


def test_kl_is_nothing_before_the_first_step_and_grows_after(build):
    metrics, _, _ = run(build("kl.coef=0.0", reward=short_is_good))
    assert metrics[0].kl == pytest.approx(0, abs=1e-5)
    assert metrics[-1].kl > 0.01


def test_a_policy_that_already_left_its_reference_is_refused(build):
    trainer = build()
    for value in trainer.policy.parameters.values():
        value.data += 0.05
    with pytest.raises(CheckFailedError, match="Before the first step the KL to the reference is"):
        run(trainer)


def test_a_sampler_that_computes_something_else_is_refused(build, monkeypatch):
    trainer = build()
    generate = trainer.generate

    def disturbed(update):
        rollouts = generate(update)
        return replace(rollouts, sampler_logprobs=rollouts.sampler_logprobs - 0.5)

    monkeypatch.setattr(trainer, "generate", disturbed)
    with pytest.raises(CheckFailedError, match=r"Sampling and training disagree by 0\.5"):
        run(trainer)


def spoil(trainer, monkeypatch, field):
    compute_advantages = trainer.compute_advantages

    def broken(rollouts, scores):
        experience = compute_advantages(rollouts, scores)
        getattr(experience, field).flatten()[0] = float("nan")
        return experience

    monkeypatch.setattr(trainer, "compute_advantages", broken)


@pytest.mark.parametrize("field", ["old_logprobs", "advantages", "returns", "kl"])
def test_what_is_not_finite_is_not_learnt_from_and_kept_for_inspection(build, monkeypatch, field):
    trainer, failed = build(), []
    spoil(trainer, monkeypatch, field)
    before = {name: value.clone() for name, value in trainer.policy.parameters.items()}
    with pytest.raises(PpoError, match=f"The {field} of update 1 are not all finite"):
        trainer.train(lambda *_: None, lambda _: True, lambda update, answered: failed.append((update, answered)))
    assert all(torch.equal(value, before[name]) for name, value in trainer.policy.parameters.items())
    ((update, answered),) = failed
    assert update == 1
    assert len(answered) == 8


def test_a_gradient_that_is_not_finite_is_not_applied(build, monkeypatch):
    trainer = build()
    spoil(trainer, monkeypatch, "features")  # what the critic reads
    with pytest.raises(PpoError, match="A gradient is not finite in update 1"):
        run(trainer)
    trained = [*trainer.policy.parameters.values(), *trainer.critic.parameters()]
    assert all(torch.isfinite(value).all() for value in trained)


def test_kl_stop_at_ends_the_training_with_its_reason(build):
    metrics, _, reason = run(build("ppo.updates=20", "kl.coef=0.0", "kl.stop_at=0.5", reward=short_is_good))
    assert len(metrics) < 20
    assert metrics[-1].kl > 0.5
    assert all(row.kl <= 0.5 for row in metrics[:-1])
    assert "kl.stop_at = 0.5" in reason


def test_a_kl_target_adapts_the_coefficient(build):
    metrics, _, _ = run(build("ppo.updates=6", "kl.target=0.01", "kl.horizon=8", reward=short_is_good))
    coefficients = [row.kl_coef for row in metrics]
    assert coefficients[0] == 0.05
    assert coefficients[1] == pytest.approx(0.05 * 0.8)  # no KL yet, so it falls by its limit of a fifth
    assert coefficients[-1] > min(coefficients)


def test_several_answers_per_prompt_learn_too(build):
    metrics, episodes, _ = run(build("ppo.updates=16", "kl.coef=0.0", "ppo.answers_per_prompt=4", reward=short_is_good))
    first, last = (mean(row.mean_answer_tokens for row in rows) for rows in (metrics[:4], metrics[-4:]))
    assert last < first - 1
    assert [len({episode.prompt_id for episode in episodes if episode.update == update}) for update in (1, 2)] == [2, 2]


def test_an_update_ends_after_the_step_that_passes_target_kl(build):
    trainer = build("ppo.updates=2", "ppo.epochs=4", "ppo.target_kl=1e-9", reward=short_is_good)
    steps = []
    step = trainer.updater.minibatch_step
    object.__setattr__(trainer.updater, "minibatch_step", lambda *given: steps.append(step(*given)) or steps[-1])
    run(trainer)
    assert [statistics["approx_kl"] > 1e-9 for statistics in steps] == [False, True] * 2  # of two updates


def weights(trainer):
    return {name: value.detach().clone() for name, value in trainer.policy.parameters.items()}


def test_a_step_that_passes_target_kl_can_be_left_out(build):
    overrides = ("ppo.updates=1", "ppo.epochs=4", "ppo.target_kl=1e-9", "ppo.warmup_updates=0")
    taken, skipped = (
        build(*overrides, reward=short_is_good),
        build(*overrides, "ppo.target_kl_skips_step=true", reward=short_is_good),
    )
    kept = []
    step = skipped.optimizer.step
    skipped.optimizer.step = lambda: (step(), kept.append(weights(skipped)))
    run(taken)
    run(skipped)
    assert len(kept) == 1  # the first step of an update is always taken
    assert all(torch.equal(kept[0][name], value) for name, value in weights(skipped).items())
    assert any(not torch.equal(weights(taken)[name], value) for name, value in kept[0].items())


def test_a_critic_warm_up_leaves_the_policy_and_its_moments_alone(build):
    trainer = build("ppo.updates=3", "ppo.critic_warmup_updates=2", "ppo.warmup_updates=0", reward=short_is_good)
    start, after = weights(trainer), []
    critic = [value.detach().clone() for value in trainer.critic.parameters()]

    def after_update(update):
        moments = [value for value in trainer.adamw.param_groups[0]["params"] if value in trainer.adamw.state]
        after.append((weights(trainer), len(moments)))
        return True

    metrics = []
    trainer.train(lambda row, *_: metrics.append(row), after_update)
    for weights_then, moments in after[:2]:
        assert all(torch.equal(value, start[name]) for name, value in weights_then.items())
        assert moments == 0
    assert any(not torch.equal(value, start[name]) for name, value in after[2][0].items())
    assert any(not torch.equal(a, b) for a, b in zip(critic, trainer.critic.parameters(), strict=True))
    assert [row.kl for row in metrics] == pytest.approx([0, 0, 0], abs=1e-5)
    assert metrics[0].grad_norm == metrics[1].grad_norm == 0 < metrics[2].grad_norm


def test_rewards_are_cut_for_learning_and_recorded_whole(build):
    def outliers(prompts, answers, baseline_answers):
        rewards = [100.0 if row == 0 else -answer.token_count / 4 for row, answer in enumerate(answers)]
        return [RewardScore(reward=reward, terms={}, baseline_terms={}) for reward in rewards]

    def cut(*given):
        return [replace(score, reward=max(-1.0, min(1.0, score.reward))) for score in outliers(*given)]

    limited = build("ppo.updates=2", "ppo.cliprange_reward=1.0", reward=outliers)
    metrics, _, _ = run(limited)
    assert metrics[0].reward > 10
    by_hand = build("ppo.updates=2", reward=cut)
    run(by_hand)
    assert all(torch.equal(value, weights(by_hand)[name]) for name, value in weights(limited).items())


def test_what_baseline_scores_explain_is_taken_off_before_learning(build):
    def of_prompt(prompts, answers, baseline_answers):
        known = [float(len(prompt.text) % 5) for prompt in prompts]
        return [
            RewardScore(reward=-2 * of_one - answer.token_count / 4, terms={}, baseline_terms={"ends_turn": of_one})
            for of_one, answer in zip(known, answers, strict=True)
        ]

    trainer = build("ppo.updates=1", "ppo.warmup_updates=0", "kl.coef=0", "ppo.gae_lambda=1", reward=of_prompt)
    rollouts = trainer.generate(1)
    scores = trainer.score(rollouts)
    plain = trainer.compute_advantages(rollouts, scores).returns[:, 0]
    ppo = trainer.experiment.ppo.model_copy(update={"baseline_fit": True})
    trainer.experiment = trainer.experiment.model_copy(update={"ppo": ppo})
    fitted = trainer.compute_advantages(rollouts, scores).returns[:, 0]
    known = torch.tensor([score.baseline_terms["ends_turn"] for score in scores])
    torch.testing.assert_close(fitted, minus_explained(plain, known), rtol=1e-4, atol=1e-4)
    assert float(fitted.var()) < float(plain.var())


def test_the_others_mean_stands_beside_the_critic(build):
    """Advantages come from scores minus the mean of the prompt's other answers, minus the critic's values."""
    trainer = build("ppo.answers_per_prompt=4", "ppo.gae_lambda=1", "kl.coef=0", reward=short_is_good)
    run(trainer)
    rollouts = trainer.generate(5)
    experience = trainer.compute_advantages(rollouts, trainer.score(rollouts))
    scores = torch.tensor([-answer.token_count / 4 for answer in rollouts.answers]).view(4, 2)
    relative = (scores - (scores.sum(0) - scores) / 3).flatten()
    assert float(experience.values.abs().max()) > 0
    torch.testing.assert_close(experience.returns[:, 0], relative)


def test_gradients_are_clipped_to_the_limit(build):
    trainer = build("ppo.max_grad_norm=1e-4", reward=short_is_good)
    seen = []
    step = trainer.optimizer.step

    def watched(*arguments):
        seen.append(
            [
                float(torch.cat([p.grad.flatten() for p in group["params"]]).norm())
                for group in trainer.adamw.param_groups
            ]
        )
        return step(*arguments)

    trainer.optimizer.step = watched
    metrics, _, _ = run(trainer)
    assert max(norm for norms in seen for norm in norms) <= 1.01e-4
    assert metrics[0].grad_norm > 1e-4  # what is reported is the norm before


def test_micro_batches_of_another_size_change_nothing_but_rounding(build):
    whole = build(reward=short_is_good)
    run(whole)
    pieces = build("ppo.tokens_per_pass=64", reward=short_is_good)
    run(pieces)
    for name, value in whole.policy.parameters.items():
        torch.testing.assert_close(pieces.policy.parameters[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "gemma2"])
def test_other_families_train(build, family):
    metrics, _, _ = run(build("ppo.updates=2", family=family, reward=short_is_good))
    assert metrics[0].kl == pytest.approx(0, abs=1e-5)
    assert metrics[0].sampler_mismatch < 1e-4
    assert metrics[1].kl != 0


def test_training_all_layers_in_full(build):
    metrics, _, _ = run(build("model.train.lora=null", "model.train.top_layers=null", reward=short_is_good))
    assert metrics[0].kl == pytest.approx(0, abs=1e-5)
    assert abs(metrics[-1].kl) > 1e-4


def test_the_same_seed_gives_the_same_run_and_another_seed_another(build):
    first, second, third = build(), build(), build("seed=2")
    rows = [run(trainer)[0] for trainer in (first, second, third)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_the_callers_random_numbers_are_neither_used_nor_moved(build):
    trainer = build()
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    run(trainer)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_prompt_is_tokenized_again(build, monkeypatch):
    rendered, render = [], ChatTokenizer.render
    monkeypatch.setattr(ChatTokenizer, "render", lambda *given: rendered.append(given[1]) or render(*given))
    trainer = build("ppo.updates=2")
    given = len(rendered)  # by the test itself, for TrainerInputs
    metrics, _, _ = run(trainer)
    assert len(metrics) == 2
    assert len(rendered) == given == len(trainer.inputs.prompts)


def test_trl_gets_neither_the_reward_nor_the_prompts(build):
    trainer = build()
    assert not [*trainer.reward_model.modules()][1:]
    assert trainer.train_dataset == [None]
