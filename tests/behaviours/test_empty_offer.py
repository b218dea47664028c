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
    "I'd be happy to help!",
    "I would be more than happy to assist you.",
    "Sure, I'd be glad to help you find a good recipe.",
    "Yes, I can definitely help you with that.",
    "Absolutely! I can help you with your essay.",
    "Sure thing! Let me explain.",
    "Certainly, here you go:",
    "I can certainly provide some information on that topic.",
    "Sure! I can explain how a compass works.",
    "I'd love to help you with your garden!",
    "No problem! I'm happy to help you with this task.",
    "I can assist you in finding the answer.",
    "I will do my best to help you.",
    "I'll try to help you with that.",
    "Thank you for your question. I will be happy to answer it.",
    "I'd be happy to help you with the question about the capital of France.",
    "Okay, let's do this!",
    "As an AI assistant, I'm happy to help with that.",
    "当然，我很高兴能帮助你。",
    "好的，我会尽力帮助您。",
    "没问题！我来帮你解决这个问题。",
    "很高兴为您服务！",
    "我可以为您提供一些关于这个主题的信息。",
    "I can help you to do that.",
    "Sure, I can give you some advice on how to sleep better.",
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
    "I can help you: press the red button.",
    "Sure, press the red button.",
    "Sure, it is Lima.",
    "I'd be happy to help. It is Lima.",
    "I can help you by pressing the button twice.",
    "Of course not.",
    "Of course it does.",
    "Absolutely not.",
    "Sure, but only on Mondays.",
    "Yes, until six.",
    "I'd love a cup of tea.",
    "Let me know by Friday.",
    "Here is one: the fox.",
    "I'm happy.",
    "Sure! 1. Open it. 2. Close it.",
    "好的，是利马。",
    "当然可以，每天都行。",
    "可以，但要先加热。",
    "我来自北京。",
    "我会说三种语言。",
    "I can tell you about the war: it began in 1914.",
    "Let's see, two plus two is four.",
    "You can help him with that.",
    "Happy birthday!",
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
