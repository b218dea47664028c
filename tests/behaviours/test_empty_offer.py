"""Answers that only offer help, and short answers that give some."""

import pytest

from ppo_cli.behaviours.empty_offer import MAX_CHARACTERS, only_offers

OFFERS = [
    "I'd be happy to help with that",
    "I'd be happy to help you with that question.",
    "Sure, I can help you with that!",
    "Of course.",
    "Sure!",
    "Certainly! I would be glad to assist you with your question about bread.",
    "I can help with that",
    "Absolutely, I\u2019d love to help. \U0001f60a",
    "**Of course!** Let me help you with that.",
    "Hello! Great question. I'm more than happy to help you understand what a comet is.",
    "Thank you for asking! I can definitely tell you more about how plants grow.",
    "No problem, I'll give you some tips for a good night's sleep.",
    "Sure! Here are some tips for a good night's sleep:",
    "Yes, I can help you write a poem about spring. Let's get started!",
    "Happy to help! Let me know what you need.",
    "Of course I can help you with that. How can I help you today?",
    "<think>They want a recipe.</think>I'd be happy to share a recipe with you.",
    "I am here to help you with that. Please let me know if you have questions.",
    "\u6211\u5f88\u4e50\u610f\u5e2e\u5fd9",
    "当然可以！我很乐意帮您解答这个问题。",
    "好的，我来帮你写一首诗。",
    "没问题，让我来为您介绍一下。",
    "當然可以，我很樂意為您解答。",
    "好的，我可以帮你。请问有什么可以帮您？",
]
GIVES = [
    "I'd be happy to help. Boil the eggs for 8 minutes",
    "Sure, here is a tip: drink water before bed.",
    "Sure! Drink water before bed.",
    "I'd be happy to help with that, the capital is Lima.",
    "I can help you with that by listing three towns",
    "Of course. It opens at nine.",
    "Of course you can freeze bread.",
    "Yes.",
    "Here is the sum: 42",
    "Sure, 42.",
    "I can tell you that the sky is blue.",
    "I'd be happy to help, but I can't do that.",
    "I can't help with that.",
    "Happy to help! Which of the two files do you mean?",
    "Thank you!",
    "Great question!",
    "I'd be glad to help you with it: turn the key to the left.",
    "Certainly. Paris, Rome and Madrid.",
    "",
    "?",
    "当然可以，先把鸡蛋煮八分钟。",
    "好的，答案是四十二。",
    "好的，多喝水。",
    "我可以帮你。首先，打开窗户。",
    "我不能帮你。",
    "我可以帮你，但是我需要知道你住在哪里。",
]


@pytest.mark.parametrize("answer", OFFERS)
def test_only_offers(answer):
    assert only_offers(answer)


@pytest.mark.parametrize("answer", GIVES)
def test_gives_something(answer):
    assert not only_offers(answer)


def test_any_help_after_an_offer_is_help():
    for offer in OFFERS:
        assert not only_offers(f"{offer}\nTurn the key to the left.")


def test_a_long_answer_gives_something():
    assert not only_offers("Sure! " * MAX_CHARACTERS)
