"""The table of measures, and the labels it is made from."""

import pytest

from ppo_cli.behaviours import refusal
from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.behaviours.measures import MEASURES, measure_named, require_measure
from ppo_cli.behaviours.repetition import repeated_share
from ppo_cli.errors import ConfigError
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import Sample
from ppo_cli.text.words import words


def test_names_are_unique_and_every_measure_is_explained():
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    assert all(measure.definition and measure.source and measure.equivalence_margin > 0 for measure in MEASURES)


def test_an_unknown_measure_proposes_the_nearest():
    with pytest.raises(ConfigError, match=r"Did you mean refusal\.separation"):
        measure_named("refusal.seperation")


def test_kl_is_no_behaviour_to_judge_a_run_by():
    with pytest.raises(ConfigError, match=r"kl\.per_answer is shown but never judged"):
        require_measure("kl.per_answer")
    with pytest.raises(ConfigError, match=r"reward\.alone is shown but never judged"):
        require_measure("reward.alone")
    require_measure("ending.eos")


def test_the_rules_version_can_name_a_file():
    assert "/" not in RULES_VERSION
    assert RULES_VERSION == "refusal3+form1+clarification1+brevity1+style1+language1+ending1+topic1"


def test_every_rate_of_refusals_carries_the_measured_error_of_the_rule():
    assert {measure.calibration for measure in MEASURES if measure.label == "refused"} == {refusal.CALIBRATION}
    assert all(measure.error for measure in MEASURES)


def test_labels_of_one_answer():
    prompt = Prompt(id="p", text="t", category="scary.x", expect="comply")
    sample = Sample(prompt_id="p", sample=0, answer="I can't help with that.", token_count=7, finish="eos", kl=0.5)
    (row,) = label_sample([prompt], [sample])
    assert row.labels["refused"] == 1.0
    assert row.labels["ended"] == 1.0
    assert row.labels["tokens"] == 7.0
    assert row.labels["kl"] == 0.5
    assert (row.labels["words"], row.labels["sentences"], row.labels["asks"], row.labels["switch"]) == (5, 1, 0, 0)
    assert (row.category, row.expect) == ("scary.x", "comply")


def test_what_a_prompt_does_not_name_is_not_measured():
    prompts = [Prompt(id="a", text="t", keywords=("steam",)), Prompt(id="b", text="t")]
    samples = [
        Sample(prompt_id=prompt.id, sample=0, answer="It is steam.", token_count=4, finish="eos", kl=None)
        for prompt in prompts
    ]
    named, unnamed = label_sample(prompts, samples)
    assert named.labels["mentions"] == 1.0
    assert "mentions" not in unnamed.labels


def test_repetition_counts_repeated_four_grams():
    assert repeated_share(words("a b c")) == 0.0
    assert repeated_share(words("a b c d e f")) == 0.0
    assert repeated_share(words("a b c d a b c d")) == pytest.approx(1 - 4 / 5)


def test_words_split_languages():
    assert words("Don't stop—now!") == ["don't", "stop", "now"]
    assert words("我爱 Python3") == ["我", "爱", "python3"]
