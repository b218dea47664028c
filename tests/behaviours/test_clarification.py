"""Clarification: questions as list items, choices, after long texts, and in Chinese without a question mark."""

import pytest

from ppo_cli.behaviours.clarification import LATE_CHARACTERS, asks_back

MILL = "The old mill stands by the river and has been closed for years. " * 8
ASKS = [
    "Happy to help. I have a few questions first:\n\n1. What is your budget?\n2. How many people are coming?",
    "To plan this, could you tell me:\n- Which days do you have?\n- Where do you start from?",
    "- Which size do you need?\n- What colour do you want?",
    "Before I start, I need to know a few things:\n1. Is your garden sunny?\n2. Do you want fruit or flowers?",
    "Would you like the answer in metres or in feet?",
    "Would you prefer a short version or a long one?",
    "Would you like to know how to cook it, or how to store it?",
    "Tell me which printer you have.",
    "I'm not sure which of the two you mean.",
    "There are two towns of that name. One lies in the north, on a lake, and is known for "
    "its glass; the other lies in the south, on the coast, and is known for its fish market "
    "and the long pier from the last century. Both have a station, both have a Saturday market, "
    "and both are about an hour from the capital by train, so the way there is nearly the "
    "same. The weather is milder in the south, the prices lower in the north. Which of the "
    "two do you mean?",
    "It depends on a few things that the question leaves open. Some lamps take a small bulb, "
    "some a large one, and the newer ones have a light that cannot be replaced at all. The "
    "small ones are sold in every supermarket, the large ones only in special shops, and "
    "for the new ones the whole lamp has to be sent back to the maker, which takes two weeks "
    "or so and costs about as much as a new one. Most people are better off with the first "
    "kind. To give you a clear answer: what does the label on your lamp say?",
    "Many tools can do this. The first is small and quick but has no preview; the second "
    "has a preview and a price; the third is part of the system and can be found in the menu "
    "under tools. All three read the common formats and write two or three of them, and all "
    "can be tried for a month without an account, so there is no hurry to choose one of them "
    "today, and nothing is lost by trying the smallest. Could you tell me which system you "
    "use, so that I can name the right one?",
    "请问您要哪一种",
    "您想问的是哪个城市呢。",
    "你需要多大尺寸的，请问大概几个人用",
    "您指的是河岸还是银行",
    "不太清楚您说的是哪一部电影。",
    "請問您想去哪個城市",
    "你打算去几天呢",
    "能否告訴我您的預算",
    "好的。您喜欢什么口味呢",
]
TELLS = [
    "Before you buy a dog, ask yourself:\n- Do you have time for it?\n- Where will it sleep when you travel?",
    "Good questions to ask a landlord:\n1. What do you charge for parking?\n2. When do you return the deposit?",
    "Here is a short quiz:\n1. What is the capital of Peru?\n2. Which river is the longest?",
    "Boil the eggs for eight minutes. Would you like more tips or something else?",
    "Would you like me to add more examples?",
    "Would you like to hear more about it?",
    "你可以看看哪种便宜再买。",
    "你想吃什么就吃什么。",
    "你还是早点休息。",
    "他问我要去哪里。",
    "先想想你需要什么，再列一张清单。",
    "几乎所有人都知道你说的是对的。",
    "不知道怎么办的时候，先深呼吸。",
    MILL + "Have you ever seen it?",
    MILL + "Let me know if you have any questions.",
    MILL + "Which is your favourite mill?",
    MILL + "What do you think?",
    MILL + "Let me know how it goes!",
    MILL + "Please let me know what you think.",
    MILL + "Please share it with your friends.",
    "Wash it twice and dry it flat. Let me know how it turns out!",
    "Press both keys.\n- Wait ten seconds.\n- Does it start? Then you are done.",
    "Tell your guests early which day it is.",
    "I'm not sure which year it was, perhaps 1890.",
    "需要我把它写成表格吗？",
    "还有什么想知道的吗",
]


@pytest.mark.parametrize("answer", ASKS)
def test_questions_back(answer):
    assert asks_back(answer)


@pytest.mark.parametrize("answer", TELLS)
def test_no_questions_back(answer):
    assert not asks_back(answer)


@pytest.mark.parametrize(
    "question", ["Which of the two do you mean?", "请问您要哪一种", "To help you, what is your budget?"]
)
def test_a_question_that_says_what_it_is_for_counts_early_and_at_the_end_but_not_in_the_middle(question):
    long = "The road is wide and goes on to the sea. " * (LATE_CHARACTERS // 30)
    assert asks_back(question + "\n" + long)
    assert asks_back(long + question)
    assert not asks_back(long + question + "\n" + long)


@pytest.mark.parametrize("unit", ["- a?\n", "would you like ", "你想", "请问", "to help ", "which one ", "或还是你要"])
def test_a_long_text_is_read_in_linear_time(unit):
    """A pattern that backtracks would make this test hang."""
    asks_back(unit * (100_000 // len(unit)))
