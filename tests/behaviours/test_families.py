"""Clarification, length, style, language, endings: each rule on answers written for it."""

import pytest

from ppo_cli.behaviours.clarification import asks_back
from ppo_cli.behaviours.ending import is_complete_sentence
from ppo_cli.behaviours.language import is_mixed, script_counts, switches
from ppo_cli.behaviours.length import sentence_count, word_count
from ppo_cli.behaviours.style import apologises, has_list, has_markdown, speaks_of_itself

ASKS = [
    "Which file do you mean?",
    "Could you tell me which version you have?",
    "Can you please share more details about the error?",
    "Happy to help! What is your budget, and how many people are coming?",
    "Do you mean the river or the bank?",
    "I need a bit more information: where are you travelling from?",
    "Please specify the size you need.",
    "It depends on the country. Where do you live?",
    "To answer that I'd need to know your screen's model.",
    "It's unclear what you want to compare. Prices, or weights?",
    "For how many people?",
    "Are you asking about the film or the book?",
    "Let me know which one you have and I'll look at it.",
    "What have you tried so far?",
    "Sure. Is this for work or for school, and how long should your text be?",
    "I'm not certain I follow. Could you rephrase the question?",
    "When you say 'fix it', what does your printer do?",
    "**Which** of the two do you want?",
    "Before I suggest anything: do you eat fish?",
    "Would you describe the noise?",
    "请问您指的是哪一个城市？",
    "你想要多大的？",
    "能否提供更多信息？",
    "请告诉我具体的型号。",
]
TELLS = [
    "Press both buttons for ten seconds.",
    "Put it in the oven for ten minutes. Is there anything else I can help with?",
    "I can't help with that. Is there something else you need?",
    "Use a lid. Does that help?",
    "Did you know that penguins have knees? They are hidden under the feathers.",
    "Would you like me to write it out in full?",
    'The play opens with the line "Who\'s there?" and you hear a bell.',
    "Why not try cold water? It works on most stains.",
    "How about soup? It is quick and you can freeze it.",
    "Have you ever seen snow fall upwards? In a strong wind it does.",
    "Ask yourself two things:\n\n1. What do you want to say?\n2. Who is your reader?\n\nThen write the first line.",
    "Let me know if you need anything else.",
    "Please note that the shop is closed on Mondays.",
    'You could say: "What time do you open?"',
    "What matters is the heat, not the time.",
    "Want me to add an example? Here is the short form first.",
    "No, it does not.",
    "I'm sorry, but I can't help with that.",
    "Whether you take the bus or walk, you will be there by noon.",
    "It was late, and who knows? Perhaps he went home.",
    "",
    "按住电源键十秒。还有什么需要帮忙的吗？",
    "需要我写一个例子吗？",
    "先关火，再加盐。",
]


@pytest.mark.parametrize("answer", ASKS)
def test_questions_back(answer):
    assert asks_back(answer)


@pytest.mark.parametrize("answer", TELLS)
def test_no_questions_back(answer):
    assert not asks_back(answer)


def test_a_question_at_the_end_of_a_long_answer_does_not_count():
    assert not asks_back("Stir it slowly and keep the heat low. " * 12 + "What will you cook?")


@pytest.mark.parametrize(
    ("answer", "words", "sentences"),
    [
        ("", 0, 0),
        ("Press it.", 2, 1),
        ("One two. Three! Four?", 4, 3),
        ("It is 3.5 m long.", 6, 1),
        ("- one\n- two", 2, 2),
        ("先关火。再加盐！", 6, 2),
        ("no mark", 2, 1),
        ("Wait... what?", 2, 2),
    ],
)
def test_words_and_sentences(answer, words, sentences):
    assert (word_count(answer), sentence_count(answer)) == (words, sentences)


@pytest.mark.parametrize(
    ("answer", "listed", "marked"),
    [
        ("- one\n- two", True, False),
        ("1. one\n2) two", True, False),
        ("Steps:\n  * a\n  * b", True, False),
        ("- one", False, False),
        ("2 - 1 is 1.\nSo it is.", False, False),
        ("## Title\ntext", False, True),
        ("It is **bold**.", False, True),
        ("Use `kill`.", False, True),
        ("```\nx\n```", False, True),
        ("5 * 4 ** 2", False, False),
    ],
)
def test_lists_and_markdown(answer, listed, marked):
    assert (has_list(answer), has_markdown(answer)) == (listed, marked)


@pytest.mark.parametrize(
    ("answer", "sorry"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I\u2019m so sorry for the mistake.", True),
        ("**Sorry**, no.", True),
        ("I apologize for the confusion.", True),
        ("My apologies, it was Tuesday.", True),
        ("抱歉，我不能帮忙。", True),
        ("Sorry to hear that! Put ice on it.", False),
        ("I'm sorry to hear about your cat.", False),
        ("He was sorry and went home.", False),
        ("A sorry sight.", False),
    ],
)
def test_apologies(answer, sorry):
    assert apologises(answer) is sorry


@pytest.mark.parametrize(
    ("answer", "itself"),
    [
        ("As an AI language model, I cannot taste food.", True),
        ("I'm just a language model.", True),
        ("As a large language model I have no body.", True),
        ("作为一个人工智能助手，我没有喜好。", True),
        ("A language model predicts the next word.", False),
        ("As an aid to memory, write it down.", False),
        ("As a gardener I would wait.", False),
    ],
)
def test_self_reference(answer, itself):
    assert speaks_of_itself(answer) is itself


@pytest.mark.parametrize(
    ("answer", "complete"),
    [
        ("It is done.", True),
        ("Is it?", True),
        ('He said "no."', True),
        ("好的。", True),
        ("- one\n- two", True),
        ("```\nx = 1\n```", True),
        ("Then you take the", False),
        ("Then, ", False),
        ("", False),
    ],
)
def test_endings(answer, complete):
    assert is_complete_sentence(answer) is complete


@pytest.mark.parametrize(
    ("prompt", "answer", "switched"),
    [
        ("What is this?", "A shoe.", False),
        ("What is this?", "这是一只鞋。", True),
        ("这是什么？", "A shoe.", True),
        ("这是什么？", "这是 Python 的进程。", False),
        ("これは何ですか", "靴です。", False),
        ("Что это?", "A shoe.", True),
        ("What is this?", "42", False),
        ("", "A shoe.", False),
    ],
)
def test_a_switch_of_script(prompt, answer, switched):
    assert switches(prompt, answer) is switched


def test_scripts_are_counted_in_words():
    assert script_counts("two words 两个字") == {"latin": 2, "chinese": 3}
    assert is_mixed("two words 两个字")
    assert not is_mixed("one long line of English words with a single 字 in it and nothing else at all here")
    assert not is_mixed("")


@pytest.mark.parametrize(
    "rule", [asks_back, sentence_count, has_list, has_markdown, apologises, speaks_of_itself, is_complete_sentence]
)
@pytest.mark.parametrize("unit", ["a ", "- ", "?", '"', "```", "**", "i am sorry ", "as an ", "|", "\n1. ", "请"])
def test_every_rule_reads_a_long_text_in_linear_time(rule, unit):
    """A pattern that backtracks would make this test hang."""
    rule(unit * (100_000 // len(unit)))
