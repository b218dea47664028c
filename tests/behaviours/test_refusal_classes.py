"""The classes of the refusal rule: full and partial refusals, other languages, and the measures made from them."""

import io

import pytest
from rich.console import Console

from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.behaviours.refusal import ANSWERS as ANSWERING
from ppo_cli.behaviours.refusal import LANGUAGES, REFUSALS, classify, refuses
from ppo_cli.records.answers import Prompt
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import estimate_table, missing_lines
from ppo_cli.stats.comparison import compare
from ppo_cli.stats.intervals import estimate, paired_difference, point_estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.measure_statistics import MAX_UNREAD_SHARE
from ppo_cli.text.chinese import simplified
from tests.answers import sample
from tests.behaviours import language_examples, refusal_examples, refusal_part_examples, refusal_wordings


@pytest.mark.parametrize("answer", refusal_wordings.REFUSALS)
def test_refusals_in_many_wordings(answer):
    assert classify(answer) in REFUSALS


@pytest.mark.parametrize("answer", refusal_wordings.ANSWERS)
def test_answers_with_the_words_of_refusals(answer):
    assert classify(answer) == "none"


@pytest.mark.parametrize("answer", refusal_part_examples.FULL)
def test_reasons_offers_and_alternatives_leave_a_refusal_full(answer):
    assert classify(answer) == "full"


@pytest.mark.parametrize("answer", refusal_part_examples.PARTIAL)
def test_a_part_or_an_explanation_makes_a_refusal_partial(answer):
    assert classify(answer) == "partial"


@pytest.mark.parametrize("answer", [text for group in refusal_examples.REFUSALS.values() for text in group])
def test_what_a_refusal_gives_makes_it_partial(answer):
    """A refusal stays one, whatever follows it; a plain account of the thing makes it partial, before or after."""
    account = "The bridge has two arches of red stone, carries the road over the river and was built by monks."
    assert classify(answer) in REFUSALS
    if classify(answer) == "full" and answer.startswith("I'm sorry, but I can"):
        assert classify(f"{answer} {account}") == "partial"


CASES = [
    (language, answer)
    for group in (language_examples.REFUSALS, language_examples.ANSWERS)
    for language, answers in group.items()
    for answer in answers
]


@pytest.mark.parametrize(("language", "answer"), CASES)
def test_stock_refusals_in_nine_languages(language, answer):
    assert classify(answer) == ("full" if answer in language_examples.REFUSALS[language] else "none")


def test_every_language_that_is_read_has_six_refusals_and_six_answers():
    for examples in (language_examples.REFUSALS, language_examples.ANSWERS):
        assert {"english", "chinese", *examples} == LANGUAGES
        assert all(len(set(answers)) >= 6 for answers in examples.values())


@pytest.mark.parametrize("language", language_examples.UNREAD)
def test_a_language_that_is_not_read_is_a_class_of_its_own(language):
    answer = language_examples.UNREAD[language]
    assert classify(answer) == "unread"
    assert not refuses(answer)
    assert refuses(f"I'm sorry, but I can't help with that. {answer}")


@pytest.mark.parametrize(
    "answer", ["42", "Paris, Rome, Madrid.", "print(x)", "Press it.", "La La Land is a film.", "👍 ok"]
)
def test_a_few_words_are_not_called_unread(answer):
    assert classify(answer) in ANSWERING - {"unread"}


def test_both_scripts_of_chinese_are_read_alike():
    for traditional in ("抱歉，我無法協助您完成這個請求。", "這個問題我沒辦法回答。"):
        assert classify(traditional) == classify(simplified(traditional)) == "full"
    assert classify("先關火，再加鹽。") == "none"


def matrix(*answers):
    """Answers to as many prompts, every other of which should be refused."""
    prompts = [Prompt(id=f"p{n}", text="t", expect=("refuse", "comply")[n % 2]) for n in range(len(answers))]
    return label_matrix(label_sample(prompts, [sample(p.id, 0, a) for p, a in zip(prompts, answers, strict=True)]))


ENGLISH = ("I can't help with that.", "It lies two streets north of here.")
DUTCH = language_examples.UNREAD["dutch"]


def test_a_partial_refusal_counts_as_a_refusal_and_on_its_own():
    given = matrix(refusal_part_examples.PARTIAL[0], "Sure, I can help with that!", *ENGLISH)
    values = {name: estimate(measure_named(f"refusal.{name}"), given).value for name in ("unsafe", "partial")}
    assert values == {"unsafe": 1.0, "partial": 0.25}
    assert estimate(measure_named("refusal.only_offers"), given).value == 0.5


def test_no_rate_is_given_where_too_many_answers_are_not_read():
    few, many = matrix(*ENGLISH * 20, *ENGLISH * 29, DUTCH, DUTCH), matrix(*ENGLISH * 20, *[DUTCH] * 40)
    assert few.labels["unread"].mean() <= MAX_UNREAD_SHARE < many.labels["unread"].mean()
    for name in ("separation", "unsafe", "safe", "bias", "partial"):
        measure = measure_named(f"refusal.{name}")
        assert estimate(measure, few).value is not None
        assert estimate(measure, many).value is None
        assert point_estimate(measure, many) is None
        assert paired_difference(measure, many, many) is None
    unread = estimate(measure_named("refusal.separation"), many)
    assert unread.reason == "has 40 of 80 answers in a language that this rule does not read"
    assert formatting.estimate(measure_named("refusal.separation"), unread) == "– (language)"
    assert estimate(measure_named("language.unread"), many).value == 0.5
    assert estimate(measure_named("length.words"), many).value is not None


def test_an_arm_of_seeds_has_no_value_where_one_seed_has_none():
    read, unread = matrix(*ENGLISH * 10), matrix(*ENGLISH * 5, *[DUTCH] * 10)
    found = estimate(measure_named("refusal.unsafe"), read, unread)
    assert (found.value, found.reason) == (None, "has 5 of 10 answers in a language that this rule does not read")


def test_a_comparison_says_once_for_all_measures_which_policy_is_not_read():
    read, unread = matrix(*ENGLISH * 10), matrix(*[DUTCH] * 20)
    prompts = {name: Prompt(id=name, text="t") for name in read.prompt_ids}
    measures = [measure_named(f"refusal.{name}") for name in ("separation", "bias")]
    found = compare(
        ("a", "b"), read, unread, measures, prompts, primary="refusal.separation", smallest_effect=0.3
    ).changes
    why = "b has 20 of 20 answers in a language that this rule does not read"
    assert missing_lines(found) == [f"No separation d′, refusal bias: {why}."]
    assert formatting.verdict_sentence(measures[0], found[0]) == f"No separation d′: {why}."


def test_the_table_of_one_policy_says_below_it_how_many_answers_are_not_read():
    names = ("refusal.separation", "refusal.unsafe", "length.words")
    found = [estimate(measure_named(name), matrix(*ENGLISH * 5, *[DUTCH] * 10)) for name in names]
    console = Console(width=120, file=io.StringIO())
    console.print(estimate_table(found))
    shown = console.file.getvalue()
    assert shown.count("– (language)") == 2
    assert shown.count("the policy has 10 of 20 answers in a language that this rule does not read.") == 1
