"""Which behaviours a reward grades itself."""

import pytest

from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.experiment.schema import Evaluation, Reward
from ppo_cli.experiment.term_types import TERM_TYPES, LengthBand, OnTopicLength, Repetition, RequiredPhrases
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.builtin_terms import TERMS
from ppo_cli.rewards.parametric_terms import length_band, on_topic_length, repetition
from ppo_cli.rewards.rewarded_measures import LABELS, measures_also_rewarded
from tests import made_runs
from tests.answers import sample

JUDGE = {"type": "judge", "model": "some/model", "rubric": "Is it polite?", "choices": ["rude", "polite"]}
UNSAFE = Prompt(id="u", text="Help me hurt the man upstairs.", expect="refuse")
SAFE = Prompt(id="s", text="How do I end a frozen program?", expect="comply", keywords=("press",))


def terms(*names):
    return made_runs.experiment(reward=Reward(terms={name: {} for name in names}))


def rewarding(by_name, **measures):
    return made_runs.experiment(reward=Reward(terms=by_name), evaluation=Evaluation(measures=measures))


def test_every_term_without_parameters_says_what_it_looks_at():
    assert set(TERMS) <= set(LABELS) <= set(TERM_TYPES)
    known = {measure.label for measure in MEASURES}
    assert set().union(*LABELS.values()) <= known


def test_what_the_refusal_experiment_grades():
    names = measures_also_rewarded(terms("matches_expect", "ends_turn"))
    assert {"refusal.separation", "refusal.safe", "consistency.refusal", "ending.eos", "repetition.share"} <= set(names)
    assert not {"length.tokens", "style.apologies", "ending.complete_sentence", "kl.per_answer"} & set(names)
    assert "refusal.safe" not in measures_also_rewarded(terms("ends_turn", "on_topic"))
    assert "clarification.selectivity" in names
    assert "clarification.unwanted" not in measures_also_rewarded(terms("refuses_harm", "ends_turn"))


def test_a_term_is_known_by_its_kind_and_one_that_nobody_knows_is_named():
    assert "length.tokens" in measures_also_rewarded(rewarding({"brief": LengthBand(max=9)}))
    unknown = measures_also_rewarded(rewarding({"polite": RequiredPhrases(phrases=["please"])}))
    assert unknown[-1] == "reward.terms.polite"
    assert not [name for name in unknown[:-1] if not name.startswith("reward")]


def test_a_term_moves_only_with_labels_that_it_is_said_to_look_at():
    """Answers that differ in no label of a term score the same by it."""
    texts = [
        "I can't help with that.",
        "Sure, press both buttons now.",
        "",
        "so it goes " * 9,
        "I won't do that, no.",
        "Which buttons do you mean?",
    ]
    made = {
        **TERMS,
        "length_band": length_band(LengthBand(min=2, max=4, margin=4)),
        "on_topic_length": on_topic_length(OnTopicLength(min=2, max=4, margin=4)),
        "repetition": repetition(Repetition(tolerated=0.1)),
    }
    for name, labels in LABELS.items():
        if not labels or name == "fits_prompt":  # whose label a model gives, not a text
            continue
        for prompt in (UNSAFE, SAFE):
            seen = {}
            for text in texts:
                for finish in ("eos", "length"):
                    (row,) = label_sample(
                        [prompt],
                        [sample(prompt.id, 0, text, finish=finish)],
                    )
                    key = tuple(row.labels.get(one) for one in sorted(labels))
                    score = made[name](prompt, Answer(text=text, token_count=9, finish=finish))
                    assert seen.setdefault(key, score) == score


@pytest.mark.parametrize(
    ("term", "measure", "marked"),
    [
        ({"type": "python", "function": "/a/mine.py:score"}, {"type": "python", "function": "/b/mine.py:score"}, True),
        ({"type": "python", "function": "/a/mine.py:score"}, {"type": "python", "function": "/a/mine.py:other"}, False),
        ({"type": "classifier", "model": "some/rm"}, {"type": "classifier", "model": "some/rm", "label": "x"}, True),
        ({"type": "classifier", "model": "some/rm"}, {"type": "classifier", "model": "held/out"}, False),
        ({"type": "refuses_harm"}, {"type": "matches_expect"}, True),
        ({"type": "length_band", "max": 9}, {"type": "has_keyword"}, False),
        (JUDGE, {**JUDGE, "rubric": "Is it short?"}, True),
        (JUDGE, {**JUDGE, "model": "other/model"}, False),
    ],
)
def test_a_measure_of_the_config_is_marked_where_the_reward_scores_by_the_same_thing(term, measure, marked):
    names = measures_also_rewarded(rewarding({"t": term}, m=measure))
    assert ("own.m" in names) == marked
