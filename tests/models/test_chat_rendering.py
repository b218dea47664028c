"""A chat template that does not end, or makes too much, ends in one sentence; others are rendered as before."""

import re
import threading

import pytest

from ppo_cli.errors import ModelError
from ppo_cli.models import chat_rendering
from ppo_cli.models.chat_rendering import render_chat
from ppo_cli.models.chat_template import probe_template
from ppo_cli.models.loading import load_tokenizer
from tests.terminal import refused
from tests.tiny_models import save_tiny_model, write_tiny_config

LOOP = "{% for i in range(99999) %}"
NESTED = f"{LOOP}{LOOP}{LOOP}{{% endfor %}}{{% endfor %}}{{% endfor %}}"
DOUBLED = "{% set n = namespace(x='abcdefgh') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}"
UNBOUNDED = {
    "nested loops": (NESTED, "it does not end within 0.3 s"),
    "a macro that calls itself in a loop": (
        f"{{% macro m(n) %}}{LOOP}{{{{ m(n) }}}}{{% endfor %}}{{% endmacro %}}{{{{ m(1) }}}}",
        "recursion|it does not end within 0.3 s",  # whichever comes first
    ),
    "a text that doubles": (DOUBLED, "it takes more than 0.125 GiB of memory"),
    "a text of many parts": ("{{ 'abcdefgh' * 2000000 }}", "it makes a text of 16,000,000 characters"),
    "a text of gigabytes": ("{{ 'abcdefgh' * 10000000000 }}", "it takes more than 0.125 GiB of memory"),
    "a wide filter": ("{{ 'a'|center(10000000000) }}", "it takes more than 0.125 GiB of memory"),
    "a power": ("{{ 10 ** (10 ** 10) }}", "a power of too many digits"),
    "rounding": ("{{ 5|round(10000000000, 'floor') }}", "it rounds to more than 100 digits"),
}


@pytest.fixture
def tokenizer(tmp_path, monkeypatch):
    monkeypatch.setattr(chat_rendering, "MAX_SECONDS", 0.3)
    monkeypatch.setattr(chat_rendering, "MAX_MEMORY_BYTES", 2**27)
    return load_tokenizer(save_tiny_model(tmp_path / "model"))


# The time may be over within a weak reference's callback, where Python drops the error; the limit raises it again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", UNBOUNDED)
def test_a_template_without_bounds_ends_in_one_sentence_that_names_the_model(tokenizer, tmp_path, what):
    template, reason = UNBOUNDED[what]
    tokenizer.tokenizer.chat_template = template
    with pytest.raises(ModelError) as error:
        tokenizer.render("hello")
    assert error.value.message.startswith(f"The chat template of {tmp_path / 'model'} fails: ")
    assert re.search(reason, error.value.message)
    assert "\n" not in error.value.message
    assert re.search(reason, str(probe_template(tokenizer).problem))
    assert not tokenizer.opens_reasoning


def test_a_template_ends_in_another_thread_too(tokenizer):
    tokenizer.tokenizer.chat_template = NESTED
    problems = []
    thread = threading.Thread(target=lambda: problems.append(probe_template(tokenizer).problem))
    thread.start()
    thread.join()
    assert problems == ["it does not end within 0.3 s"]


def test_ordinary_powers_and_rounding_are_calculated(tokenizer):
    tokenizer.tokenizer.chat_template = "{{ 2 ** 10 }} {{ 2.5|round|int }} {{ 1.2345|round(2, 'ceil') }} {{ 2 ** 0.5 }}"
    assert render_chat(tokenizer.tokenizer, [{"role": "user", "content": "a"}], add_generation_prompt=True) == (
        "1024 2 1.24 1.4142135623730951"
    )


@pytest.mark.parametrize("command", ["train", "sft-check"])
def test_a_command_ends_with_the_sentence(tmp_path, monkeypatch, command):
    monkeypatch.setattr(chat_rendering, "MAX_SECONDS", 0.3)
    model = save_tiny_model(tmp_path / "model")
    (model / "chat_template.jinja").write_text(NESTED)
    printed = " ".join(refused(command, write_tiny_config(tmp_path / "config", model)).split())
    assert "fails: it does not end within 0.3 s. → Use another model." in printed
