"""A chat template that writes today's date gives the same tokens every day."""

from ppo_cli.models.chat_template import probe_template
from ppo_cli.models.control_tokens import encode_chat
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.records.answers import ChatMessage
from tests.tiny_models import save_tiny_model

DATED = "{{ strftime_now('%d %b %Y') }} {% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"


def test_a_template_reads_the_same_date_every_day(tmp_path):
    save_tiny_model(tmp_path / "model")
    tokenizer = load_tokenizer(tmp_path / "model", system_prompt=None)
    tokenizer.tokenizer.chat_template = DATED
    ids = encode_chat(tokenizer.tokenizer, [ChatMessage(role="user", content="hello")])
    assert tokenizer.tokenizer.decode(ids) == tokenizer.tokenizer.decode(
        tokenizer.tokenizer("26 Jul 2024 user hello ")["input_ids"]
    )
    assert probe_template(tokenizer).opening.startswith("26 Jul 2024")
