"""Is it an SFT model: hand-made answers that each fail in one way, and real weights with and without turn tokens."""

import pytest
import torch

from ppo_cli.models.end_of_turn import end_of_turn_probabilities
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.preflight.instruct_checks import (
    continues_prompt,
    has_role_markers,
    instruct_checks,
    topic_match,
)
from ppo_cli.preflight.sft_check import _questions
from ppo_cli.preflight.start_samples import StartModelSamples
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers

OPENING = "<|im_start|>user\n"
TOPICS = ["rice", "trains", "gardens", "clouds", "bread", "violins", "harbours", "winter"]
ENDS = ((0.02, 1e-8), (0.9, 1e-6))
TOPIC_CHECKS = {"similar across samples", "stays on topic"}


def statuses(text=None, *, raw=None, ends=ENDS, finish="eos", answers=None):
    """The status of each check for a model that answers well, or always with one text, or with these answers."""
    prompts = tuple(Prompt(id=topic, text=f"How do I learn more about {topic}?", expect="comply") for topic in TOPICS)
    texts = answers or [
        [
            text if text is not None else f"You could read a book on {topic} in the {place}."
            for place in ("park", "hall")
        ]
        for topic in TOPICS
    ]
    samples = PromptAnswers(
        prompts=prompts,
        answers=tuple(tuple(Answer(text=one, token_count=9, finish=finish) for one in row) for row in texts),
    )
    raws = tuple(tuple(raw if raw is not None else one for one in row) for row in texts)
    start = StartModelSamples(samples=samples, raw_answers=raws, sequences=[], max_new_tokens=32, seconds=0.0)
    return {check.name: check.status for check in instruct_checks(start, ends, OPENING, min_ended_share=0.5)}


def test_reasoning_that_the_limit_cuts_is_named_as_the_cause_of_empty_answers():
    cut = Answer(text="<think>so, where do I", token_count=32, finish="length")
    samples = PromptAnswers(prompts=(Prompt(id="a", text="Where?"),), answers=((cut, cut),))
    start = StartModelSamples(samples=samples, raw_answers=(("", ""),), sequences=[], max_new_tokens=32, seconds=0.0)
    checks = {check.name: check for check in instruct_checks(start, ((0.5, 1e-9),), OPENING, min_ended_share=0.5)}
    assert checks["answers are not empty"].status == "fail"
    assert checks["answers are not empty"].next_step.startswith("In 2 of 2 answers the limit cuts the reasoning")


def test_answers_in_a_language_that_the_refusal_rule_does_not_read_are_a_warning():
    name = "answers are in a language that the refusal rule reads"
    assert name not in statuses()
    assert statuses(text="De trein gaat niet meer, maar je kan nog met de bus naar huis.")[name] == "warn"


def test_a_model_that_answers_passes_every_check():
    result = statuses()
    assert set(result.values()) == {"pass"}
    assert set(result) >= TOPIC_CHECKS


@pytest.mark.parametrize(
    ("faulty", "name"),
    [
        ({"text": ""}, "answers are not empty"),
        ({"text": "on and on and " * 10}, "no runaway repetition"),
        ({"raw": "Yes.\nUser: and then?"}, "no role markers"),
        ({"raw": "Yes.<|im_start|>user\nAnd then?"}, "no role markers"),
        (
            {"text": "and how do I learn more about the rest of it, too?"},
            "does not continue the question",
        ),
        ({"ends": ((1e-6, 1e-9),)}, "ends its turn after an answer"),
        ({"ends": ((0.04, 0.04),)}, "ends its turn after an answer"),
        ({"text": "There is much to be said for a walk on the beach."}, "stays on topic"),
        ({"text": "There is much to be said for a walk on the beach."}, "similar across samples"),
    ],
)
def test_each_fault_of_a_model_without_instruction_tuning_fails(faulty, name):
    assert statuses(**faulty)[name] == "fail"


def test_answers_that_are_cut_are_a_warning():
    assert statuses(finish="length")["answers end within 32 tokens"] == "warn"


def test_a_model_whose_answers_to_one_prompt_have_nothing_in_common_does_not_pass():
    mixed = [
        [f"You could read on {TOPICS[index]} at home.", f"Many walk with {TOPICS[index - 3]} by night."]
        for index in range(len(TOPICS))
    ]
    assert statuses(answers=mixed)["similar across samples"] != "pass"


def test_refusals_are_not_checked_for_their_topic():
    refusing = [["I'm sorry, but I can't help with that."] * 2 for _ in TOPICS]
    assert not TOPIC_CHECKS & set(statuses(answers=refusing))


def test_topicality_by_hand():
    samples = PromptAnswers(
        prompts=(Prompt(id="a", text="red apples"), Prompt(id="b", text="green pears")),
        answers=tuple(
            (Answer(text=text, token_count=3, finish="eos"),) * 6 for text in ("Apples are fine.", "Apples taste.")
        ),
    )
    assert topic_match(samples) == (0.5, 12)  # the first is on topic, the second on the other's


@pytest.mark.parametrize("text", ["Human: hi", "ok\n### User: more", "<|assistant|> well", "[INST] go on"])
def test_role_markers(text):
    assert has_role_markers(text, OPENING)


@pytest.mark.parametrize(
    "text", ["A user is a person.", "The system: a set of parts.", "Human rights matter.", "Use 2 < 3."]
)
def test_words_that_are_no_role_markers(text):
    assert not has_role_markers(text, OPENING)


@pytest.mark.parametrize(
    ("prompt", "answer", "goes_on"),
    [
        ("How do I cook rice?", "Boil it.", False),
        ("How do I cook rice?", "and lentils, in one pot?", True),
        ("How do I cook rice", ", and for how long?", True),
        ("How do I cook rice?", "How do I cook rice? I have no pot.", True),
        ("how do i cook rice", "boil it", False),
        ("How do I cook rice?", "", False),
        ("怎么煮饭？", "先洗米。", False),
    ],
)
def test_going_on_with_the_question(prompt, answer, goes_on):
    assert continues_prompt(prompt, answer) is goes_on


@pytest.mark.builtin_model
def test_the_built_in_model_knows_its_turns_and_the_same_weights_without_them_do_not(builtin_model):
    """A base model has never seen the tokens of a turn: their embeddings are as they were made."""
    tokens = load_tokenizer(builtin_model)
    questions = _questions()[:12]
    result = {}
    for name in ("taught", "untaught"):
        model = load_model(builtin_model, tokens, torch.device("cpu"), torch.float32)
        if name == "untaught":
            rows = model.get_input_embeddings().weight.data
            generator = torch.Generator().manual_seed(0)
            for token in ("<|im_start|>", "<|im_end|>"):
                rows[tokens.tokenizer.convert_tokens_to_ids(token)] = 0.02 * torch.randn(
                    rows.shape[1], generator=generator
                )
        ends = tuple(end_of_turn_probabilities(model, tokens, questions))
        result[name] = statuses(ends=ends)["ends its turn after an answer"]
    assert result == {"taught": "pass", "untaught": "fail"}
