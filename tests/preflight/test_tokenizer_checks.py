"""Faults of tokenizer and chat template, each with a tokenizer that has it."""

import json

import pytest

from ppo_cli.errors import ModelError, NoChatTemplateError
from ppo_cli.models.chat_template import probe_template
from ppo_cli.models.loading import ChatTokenizer, load_tokenizer
from ppo_cli.preflight.tokenizer_checks import prompt_token_checks, template_checks, tokenizer_checks
from tests.tiny_models import TEMPLATE, tiny_tokenizer

SYSTEM = "be brief"
DROPS_SYSTEM = "{% for m in messages if m['role'] != 'system' %}<user>{{ m['content'] }}<eos>{% endfor %}<assistant>"
DROPS_USER = "{% for m in messages %}<user><eos>{% endfor %}<assistant>"
MARKS_NOTHING = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
REFUSES_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TEMPLATE
)
ENDS_OTHERWISE = TEMPLATE.replace("<eos>", "<bos>")


def tokens(template=TEMPLATE, system=None):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return ChatTokenizer(tokenizer, 0, (2, 0), system)


def lines(template, system=None):
    given = tokens(template, system)
    return {check.name: check for check in template_checks(probe_template(given), given)}


@pytest.mark.parametrize("system", [None, SYSTEM])
def test_a_template_that_keeps_marks_and_ends_turns_passes(system):
    assert {check.status for check in lines(TEMPLATE, system).values()} == {"pass"}


@pytest.mark.parametrize(
    ("template", "system", "says"),
    [
        (DROPS_SYSTEM, SYSTEM, "drops the system turn"),
        (DROPS_USER, None, "drops the user's words"),
        (MARKS_NOTHING, None, "nothing marks where an answer begins"),
        (REFUSES_SYSTEM, SYSTEM, "System role not supported"),
    ],
)
def test_a_template_that_drops_something_fails(template, system, says):
    result = lines(template, system)["chat template"]
    assert result.status == "fail"
    assert says in result.value
    assert result.next_step


def test_a_template_that_drops_the_system_turn_is_fine_where_there_is_none():
    assert lines(DROPS_SYSTEM)["chat template"].status == "pass"


def test_turns_that_end_with_a_token_that_ends_no_answer_fail():
    result = lines(ENDS_OTHERWISE)["turns end with a stop token"]
    assert result.status == "fail"
    assert "'<bos>'" in result.value
    assert "'<eos>'" in result.threshold
    assert lines(TEMPLATE)["turns end with a stop token"].status == "pass"


def test_rendering_with_a_template_that_fails_is_a_sentence():
    with pytest.raises(ModelError, match=r"The chat template of .* fails: System role not supported"):
        tokens(REFUSES_SYSTEM, SYSTEM).render("hello")


def test_a_model_without_a_template_fails_the_gate(tiny_model, tmp_path):
    folder = tmp_path / "bare"
    folder.mkdir()
    for file in tiny_model.iterdir():
        if file.name != "chat_template.jinja":
            (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(NoChatTemplateError, match="no chat template") as error:
        load_tokenizer(folder)
    assert error.value.exit_code == 5


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 38}))
    return tmp_path


def named(folder, name, given=None):
    return next(check for check in tokenizer_checks(given or tokens(), folder) if check.name == name)


def test_an_active_generation_setting_is_named(folder):
    config = folder / "generation_config.json"
    config.write_text(json.dumps({"repetition_penalty": 1.0, "min_new_tokens": 0, "temperature": 0.6}))
    assert named(folder, "generation_config is neutral").status == "pass"
    config.write_text(json.dumps({"repetition_penalty": 1.1, "suppress_tokens": [3]}))
    result = named(folder, "generation_config is neutral")
    assert result.status == "warn"
    assert result.value == "repetition_penalty 1.1, suppress_tokens [3]"


def test_more_tokens_than_embeddings_fail(folder):
    assert named(folder, "every token has an embedding").status == "pass"
    (folder / "config.json").write_text(json.dumps({"vocab_size": 30}))
    assert named(folder, "every token has an embedding").status == "fail"


def test_pad_and_end_of_turn_have_to_differ(folder):
    assert named(folder, "pad differs from EOS").status == "pass"
    same = ChatTokenizer(tiny_tokenizer(), 2, (2,), None)
    assert named(folder, "pad differs from EOS", same).status == "fail"


@pytest.mark.parametrize(
    ("text", "status"), [("how do i cook rice?", "pass"), ("how do I cook rice?", "warn"), ("怎么做饭？🙂", "fail")]
)
def test_characters_that_the_tokenizer_does_not_know_are_found(text, status):
    readable = prompt_token_checks(tokens(), [tokens().render(text)], 64)[1]
    assert (readable.name, readable.status) == ("prompts can be read", status)


def test_a_prompt_that_does_not_fit_fails():
    fits, long = (prompt_token_checks(tokens(), [tokens().render("a" * n)], 64)[0].status for n in (10, 100))
    assert (fits, long) == ("pass", "fail")
