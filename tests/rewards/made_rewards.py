"""Rewards made of one function of a test's own, on the path of every reward: CompositeReward and its checks."""

from ppo_cli.experiment.schema import Reward
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.scorer import RewardContext, Scorer


def batch_reward(score):
    """A reward whose only term scores a whole batch: `score(answers)` gives one number per answer."""
    scorer = Scorer(lambda prompts, answers, baseline: score(answers))
    return CompositeReward(Reward(terms={"on_topic": {}}), RewardContext(scorers={"on_topic": scorer}))


def answer_reward(score):
    """A reward whose only term scores answer by answer: `score(prompt, answer)` gives a number."""
    scorer = Scorer(lambda prompts, answers, baseline: [score(p, a) for p, a in zip(prompts, answers, strict=True)])
    return CompositeReward(Reward(terms={"on_topic": {}}), RewardContext(scorers={"on_topic": scorer}))
