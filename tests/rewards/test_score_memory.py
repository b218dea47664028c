"""Each distinct answer is scored once: by the audit, by a rehearsal, and baseline answers by a training."""

from dataclasses import replace

import pytest

from ppo_cli.experiment.schema import Reward
from ppo_cli.experiment.term_types import OnTopic, Python
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers
from ppo_cli.records.events import Phase, Progress
from ppo_cli.rewards.audit.run import AuditedReward, audit_on_baseline, audit_on_samples, audit_without_model
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.score_memory import ScoredOnce, is_slow, score_with_progress
from ppo_cli.rewards.scorer import RewardContext, Scorer

PROMPTS = [
    Prompt(id=f"p{n:02d}", text=f"how do I cook rice {n}", expect="comply" if n % 2 else "refuse", answer=f"Boil {n}.")
    for n in range(40)
]


def answer(text):
    return Answer(text=text, token_count=8, finish="eos")


class Counting:
    """A reward of one term that remembers what it scored; by the length of an answer in words and letters."""

    def __init__(self, *, deterministic=True, compares=False, slow=True):
        self.scored, self.events = [], []
        settings = Reward(terms={"mine": {"type": "python", "function": "a.py:b"}} if slow else {"on_topic": {}})
        name = next(iter(settings.terms))
        scorer = Scorer(self.score, deterministic=deterministic, compares=compares)
        self.reward = CompositeReward(settings, RewardContext(scorers={name: scorer}, on_event=self.events.append))

    def score(self, prompts, answers, _baseline):
        self.scored += [(prompt.id, one.text) for prompt, one in zip(prompts, answers, strict=True)]
        return [len(one.text.split()) + len(one.text) / 100 for one in answers]


def samples(prompts, count=4):
    return PromptAnswers(
        prompts=tuple(prompts),
        answers=tuple(tuple(answer(f"Take {'some ' * k}{p.id}.") for k in range(count)) for p in prompts),
    )


def test_own_and_baseline_answers_are_scored_once_and_give_the_same_rewards():
    counted, plain = Counting(), Counting()
    once, prompts = ScoredOnce(counted.reward), PROMPTS[:3]
    own, baseline = [answer("a b"), answer("c"), answer("a b")], [[answer("d e f")], [answer("c")], []]
    for _ in range(2):
        assert once(prompts, own, baseline) == plain.reward(prompts, own, baseline)
    assert len(counted.scored) == len(set(counted.scored)) == 4
    assert len(plain.scored) == 10


def test_a_term_that_is_not_deterministic_is_asked_each_time():
    counted = Counting(deterministic=False)
    once = ScoredOnce(counted.reward)
    once.score_all([(PROMPTS[0], answer("a"))], "scoring")
    once(PROMPTS[:1], [answer("a")], [()])
    once(PROMPTS[:1], [answer("a")], [()])
    assert len(counted.scored) == 2


def test_a_term_that_compares_sees_its_baseline_answers_each_time():
    counted = Counting(compares=True)
    score_with_progress(counted.reward, [(PROMPTS[0], answer("a"))], "scoring", counted.reward.known)
    assert counted.scored == []
    counted.reward(PROMPTS[:1], [answer("a")], [[answer("b")]])
    assert counted.scored == [("p00", "a")]


def test_known_baseline_answers_are_not_scored_again_in_an_update():
    counted, plain = Counting(), Counting()
    baseline = {prompt.id: [answer(f"One {prompt.id}."), answer("Two.")] for prompt in PROMPTS[:8]}
    pairs = [(prompt, one) for prompt in PROMPTS[:8] for one in baseline[prompt.id]]
    score_with_progress(counted.reward, pairs, "scoring the baseline answers", counted.reward.known)
    assert len(counted.scored) == 16
    own = [answer(f"Own {n}.") for n in range(8)]
    rows = [baseline[prompt.id] for prompt in PROMPTS[:8]]
    for update in (1, 2):
        assert counted.reward(PROMPTS[:8], own, rows) == plain.reward(PROMPTS[:8], own, rows)
        assert len(counted.scored) == 16 + 8 * update


def test_progress_is_shown_where_a_term_may_be_slow():
    slow, quick = Counting(), Counting(slow=False)
    for counted in (slow, quick):
        pairs = [(PROMPTS[n % 40], answer(f"{n}")) for n in range(100)]
        ScoredOnce(counted.reward).score_all(pairs, "scoring")
    assert slow.events == [
        Phase(name="scoring", total=100, unit="answers"),
        *(Progress(done=done) for done in (32, 64, 96, 100)),
    ]
    assert quick.events == []


@pytest.mark.parametrize(("term", "slow"), [(OnTopic(), False), (Python(function="a.py:b"), True)])
def test_which_terms_may_be_slow(term, slow):
    assert is_slow([term]) == slow


def audited(counted, **changes):
    settings = AuditedReward(
        reward=counted.reward,
        baseline="reference",
        train=PROMPTS,
        written=PROMPTS,
        max_new_tokens=32,
        episodes_per_update=8,
    )
    return replace(settings, **changes)


def after_repeats(counted, repeated):
    """What the audit scored after the checks that score some answers again on purpose."""
    return counted.scored[repeated:]


def test_the_audit_scores_each_distinct_answer_once_on_a_sample_of_a_stated_size():
    counted = Counting()
    audit = audit_on_samples(audited(counted), samples(PROMPTS))
    repeated = 12 * 2 * 3 + 6 * 2
    scored = after_repeats(counted, repeated)
    assert len(scored) == len(set(scored))
    assert len(audit.samples.prompts) == 16
    assert len(audit.scored) == 16 * 4
    exploits = next(check for check in audit.checks if check.name.startswith("no exploit"))
    assert "on 16 of 40 prompts, since a term may be slow" in exploits.value
    names = [event.name for event in counted.events if isinstance(event, Phase)]
    assert names == ["scoring some answers twice", "auditing the reward"]


def test_a_quick_reward_is_audited_whole():
    counted = Counting(slow=False)
    audit = audit_on_samples(audited(counted), samples(PROMPTS))
    assert len(audit.samples.prompts) == 40
    assert not any("may be slow" in check.value for check in audit.checks)
    assert len(set(counted.scored)) < len(counted.scored) < 3000


def test_the_audits_of_a_training_take_samples_too():
    counted = Counting()
    audit_without_model(audited(counted))
    first = len(counted.scored)
    assert first <= 12 * 3 + 6 + 2 * 16
    check = audit_on_baseline(audited(counted), {p.id: [answer(f"Take {p.id}.")] for p in PROMPTS})
    scored = counted.scored[first:]
    assert "on 16 of 40 prompts" in check.value
    assert len(scored) == len(set(scored))
