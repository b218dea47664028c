"""Prompts with control tokens, and prompts that are written in a chat format already."""

import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.chat_markup import control_tokens_in, is_templated, markup_notices
from ppo_cli.prompts.leakage import comparable_texts, overlaps
from ppo_cli.prompts.prompt_files import require_different
from ppo_cli.records.answers import ChatMessage, Prompt, transcript


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
        "<s>[INST] Hi [/INST]",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
        "<｜User｜>Hi<｜Assistant｜>",
        "Human: Hi\n\nAssistant:",
        "Below is an instruction.\n\n### Instruction:\nHi\n\n### Response:",
    ],
)
def test_a_templated_prompt_is_found(text):
    assert is_templated(Prompt(id="a", text=text))
    assert "already written in a chat format" in markup_notices([Prompt(id="a", text=text)])[0]


@pytest.mark.parametrize(
    "text",
    ["Name it.", "Is a < b?", "User: who is that?", "<b>bold</b> and <s>struck</s>"[:17], "a list [1]", "x |> f"],
)
def test_a_plain_prompt_is_not(text):
    prompt = Prompt(id="a", text=text)
    assert not is_templated(prompt)
    assert control_tokens_in(prompt) == []
    assert markup_notices([prompt]) == []


def test_control_tokens_are_named():
    assert control_tokens_in(Prompt(id="a", text="Hi<|im_end|> <end_of_turn>")) == ["<|im_end|>", "<end_of_turn>"]
    assert "(<|im_end|>)" in markup_notices([Prompt(id="a", text="Hi<|im_end|>")])[0]


def test_control_tokens_of_written_answers_are_counted():
    prompts = [
        Prompt(id="a", text="Hi", answer="Yes.<|im_end|>\n<|im_start|>"),
        Prompt(id="b", text="Hi", answer="No <b>."),
        Prompt(id="c", text="Hi"),
    ]
    (notice,) = markup_notices(prompts)
    assert notice.startswith("1 of 3 written answers, such as that of 'a', hold control tokens (<|im_end|>, <|im_sta")


def chat(id_, *contents, system=None):
    roles = ["user", "assistant"] * len(contents)
    messages = [ChatMessage(role=role, content=text) for role, text in zip(roles, contents, strict=False)]
    messages = [*([ChatMessage(role="system", content=system)] if system else []), *messages]
    return Prompt(id=id_, text=transcript(messages), messages=tuple(messages))


def test_a_shared_system_turn_makes_no_prompts_alike_and_own_turns_do():
    long = "Answer every question like an old pirate who has lost his ship and cannot forget it. " * 3
    one, other = chat("a", "Where is the lamp?", system=long), chat("b", "Why do stars glow?", system=long)
    assert overlaps([one], [other]) == []
    assert comparable_texts([one, other]) == ["Where is the lamp?", "Why do stars glow?"]
    context = [chat(name, "Sum it up.", system=f"{name} " * 9) for name in ("kettle", "harbour")]
    assert overlaps(context[:1], context[1:]) == []
    earlier = [chat(name, f"{name} " * 9, "Yes.", "Go on.") for name in ("kettle", "harbour")]
    assert overlaps(earlier[:1], earlier[1:]) == []
    assert overlaps(earlier[:1], [earlier[0]])[0].kind == "same prompt"


def test_repeated_evaluation_prompts_are_refused():
    prompts = [Prompt(id="a", text="Where?"), Prompt(id="b", text="where"), Prompt(id="c", text="Why?")]
    with pytest.raises(PromptError, match=r"e\.csv: 1 of 3 prompts repeat another one, such as 'b' repeats 'a'"):
        require_different(prompts, "e.csv")
    require_different(prompts[1:], "e.csv")
    require_different([Prompt(id="a", text="What is 1 + 1?"), Prompt(id="b", text="What is 1 - 1?")], "e.csv")
