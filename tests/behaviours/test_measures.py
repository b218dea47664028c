"""The table of measures, and the labels it is made from."""

from dataclasses import replace
from itertools import groupby

import pytest

from ppo_cli.behaviours import refusal
from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.behaviours.measures import HEADLINES, MEASURES, measure_named, require_primary
from ppo_cli.behaviours.refusal_calibration import CALIBRATION
from ppo_cli.behaviours.repetition import repeated_share
from ppo_cli.errors import ConfigError
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.text.words import words
from tests import made_runs
from tests.answers import sample


def test_names_are_unique_and_every_measure_is_explained():
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    assert all(measure.definition and measure.source and measure.equivalence_margin > 0 for measure in MEASURES)


def test_headlines_come_first_and_families_stay_together():
    assert MEASURES[: len(HEADLINES)] == HEADLINES
    assert [measure.eval_only for measure in MEASURES] == [measure not in HEADLINES for measure in MEASURES]
    families = [family for family, _ in groupby(measure.family for measure in MEASURES if measure.eval_only)]
    assert len(families) == len(set(families))


def test_an_unknown_measure_proposes_the_nearest():
    with pytest.raises(ConfigError, match=r"Did you mean refusal\.separation"):
        measure_named("refusal.seperation")


def test_a_run_is_not_judged_by_kl_or_by_a_measure_that_its_config_lacks():
    with pytest.raises(ConfigError, match=r"kl\.per_answer is shown, but a run is never judged by it"):
        require_primary(judged_by("kl.per_answer"))
    with pytest.raises(ConfigError, match=r"evaluation\.measures has no own\.polite\. It has own\.long"):
        require_primary(judged_by("own.polite"))
    for name in ("own.long", "ending.eos", "reward.absolute"):
        require_primary(judged_by(name))


def judged_by(name):
    measures = {"long": {"type": "length_band", "max": 9}}
    return made_runs.experiment(evaluation=Evaluation(primary=name, measures=measures))


def test_the_rules_version_can_name_a_file():
    assert "/" not in RULES_VERSION
    assert RULES_VERSION == "refusal5+empty_offer1+repetition1+clarification2+length2+style1+language1+ending1+topic1"


def test_every_rate_of_refusals_carries_the_measured_error_of_the_rule():
    assert {measure.calibration for measure in MEASURES if measure.label == "refused"} == {CALIBRATION}
    assert all(measure.error for measure in MEASURES)


def test_the_fit_is_the_mean_over_the_prompts_that_are_answered():
    """Two answers with 12 and 4 nats, a refusal, and a prompt that should be refused: (12 + 4) / 2."""
    prompts = [Prompt(id=name, text=name, expect="comply") for name in "abc"] + [
        Prompt(id="d", text="d", expect="refuse")
    ]
    samples = [
        replace(sample("a", 0, "It is wet."), fit=12.0, fit_rank=1.0),
        sample("a", 1, "It is dry."),
        replace(sample("b", 0, "It is cold."), fit=4.0, fit_rank=0.5),
        sample("c", 0, "I can't help with that."),
        sample("d", 0, "Here is how."),
    ]
    matrix = label_matrix(label_sample(prompts, samples))
    found = {name: estimate(measure_named(f"fits_prompt.{name}"), matrix) for name in ("information", "rank")}
    assert (found["information"].value, found["rank"].value) == (8.0, 0.75)
    assert estimate(measure_named("topic.closeness"), matrix).value is None
    near = label_matrix(label_sample(prompts, [replace(row, closeness=row.fit and row.fit / 20) for row in samples]))
    assert estimate(measure_named("topic.closeness"), near).value == pytest.approx((0.6 + 0.2) / 2)
    unmeasured = label_matrix(label_sample(prompts, [replace(row, fit=None, fit_rank=None) for row in samples]))
    assert estimate(measure_named("fits_prompt.information"), unmeasured).value is None


def test_labels_of_one_answer():
    prompt = Prompt(id="p", text="t", category="scary.x", expect="comply")
    (row,) = label_sample([prompt], [sample("p", 0, "I can't help with that.", tokens=7, kl=0.5)])
    assert row.labels["refused"] == 1.0
    assert row.labels["ended"] == 1.0
    assert row.labels["tokens"] == 7.0
    assert row.labels["kl"] == 0.5
    assert (row.labels["words"], row.labels["sentences"], row.labels["asks"], row.labels["switch"]) == (5, 1, 0, 0)
    assert row.prompt is prompt


def test_a_prompt_without_keywords_is_not_measured():
    prompts = [Prompt(id="a", text="t", keywords=("steam",)), Prompt(id="b", text="t")]
    samples = [sample(prompt.id, 0, "It is steam.", tokens=4) for prompt in prompts]
    named, unnamed = label_sample(prompts, samples)
    assert named.labels["keywords"] == 1.0
    assert "keywords" not in unnamed.labels


def test_repetition_counts_repeated_four_grams():
    assert repeated_share(words("a b c")) == 0.0
    assert repeated_share(words("a b c d e f")) == 0.0
    assert repeated_share(words("a b c d a b c d")) == pytest.approx(1 - 4 / 5)


def labels_of(*texts):
    prompts = [Prompt(id=f"p{index}", text="Why?") for index, _ in enumerate(texts)]
    return [
        row.labels for row in label_sample(prompts, [sample(p.id, 0, t) for p, t in zip(prompts, texts, strict=True)])
    ]


ANSWER = "It lies two streets north of here."
LABELS = (
    "refused",
    "empty",
    "words",
    "sentences",
    "asks",
    "list",
    "apology",
    "mixed",
    "repetition",
    "complete_sentence",
)


@pytest.mark.parametrize(
    "thought",
    [
        "<think>I am sorry, I can't help with that. Which way do you mean?</think>\n\n",
        "- I can't\n- 我不能 </think>",
        "<reasoning>sorry sorry sorry sorry sorry</reasoning>",
    ],
)
def test_no_rule_reads_the_reasoning(thought):
    plain, reasoned = labels_of(ANSWER, thought + ANSWER)
    assert {name: plain[name] for name in LABELS} == {name: reasoned[name] for name in LABELS}
    assert (plain["reasoning_words"], reasoned["reasoning_words"] > 0) == (0.0, True)


def test_reasoning_that_was_cut_is_no_answer():
    (cut,) = labels_of("<think>I can't help with that, or")
    assert (cut["empty"], cut["refused"], cut["words"], cut["reasoning_words"]) == (1.0, 0.0, 0.0, 6.0)


def test_the_length_of_reasoning_is_measured_only_where_there_is_any():
    assert "reasoning_words" not in labels_of(ANSWER)[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("```python\nprint(0)\n```", "none"),
        ("```\nprint(0)", "none"),
        ("```\nI can't help with that.\n```", "full"),
        ("```python\n```", "empty"),
        ("```\n...\n```", "empty"),
        ("``` ```", "empty"),
    ],
)
def test_an_answer_that_is_only_code_is_judged_by_its_code(text, kind):
    assert refusal.classify(text) == kind
