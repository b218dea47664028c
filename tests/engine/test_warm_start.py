"""The SFT warm start: learns its examples, is cached by its inputs, and notices a changed cache."""

from dataclasses import replace

import pytest
import torch

from ppo_cli.engine.warm_start import ModelToTrain, _example, warm_start
from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.schema import Sft
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.models.model_digests import model_digests
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import Progress

EXAMPLES = [
    Prompt(id=str(index), text=text, category="x", expect="any", pair_id=None, answer="no, sorry.")
    for index, text in enumerate(["hello", "what is it", "why", "how come", "say more", "go on"])
]
DIGESTS = model_digests
SETTINGS = Sft(epochs=12, learning_rate=3e-2, batch_size=3, lora_r=8, top_layers=3)


@pytest.fixture
def warm(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    loads, events = [], []

    def load():
        loads.append(1)
        return load_model(tiny_model, tokenizer, torch.device("cpu"), torch.float32)

    def make(examples=EXAMPLES, settings=SETTINGS):
        digests = model_digests(tiny_model, tokenizer)
        model = ModelToTrain(folder=tiny_model, digests=digests, tokenizer=tokenizer, load=load, device_and_dtype="cpu")
        return warm_start(model, examples, settings, events.append)

    make.loads, make.events, make.tokenizer = loads, events, tokenizer
    return make


def loss(folder, tokenizer):
    model = load_model(folder, tokenizer, torch.device("cpu"), torch.float32)
    total = 0.0
    for example in EXAMPLES:
        prompt = tokenizer.render(example.text)
        answer = [*tokenizer.tokenizer(example.answer, add_special_tokens=False)["input_ids"], tokenizer.stop_ids[0]]
        ids = torch.tensor([prompt + answer])
        with torch.no_grad():
            logits = model(ids).logits[0, len(prompt) - 1 : -1]
        total += float(torch.nn.functional.cross_entropy(logits, torch.tensor(answer)))
    return total / len(EXAMPLES)


def test_it_learns_the_answers_and_their_end(warm, tiny_model):
    before, after = loss(tiny_model, warm.tokenizer), loss(warm(), warm.tokenizer)
    assert after < before / 2
    assert any(isinstance(event, Progress) and event.done == 24 for event in warm.events)


def test_nothing_is_printed_by_the_libraries(warm, capfd):
    warm(settings=SETTINGS.model_copy(update={"epochs": 1}))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_the_same_content_is_trained_once_and_gives_the_same_bytes(warm, monkeypatch, tmp_path):
    first = warm()
    assert warm() == first
    assert len(warm.loads) == 1
    weights = (first / "model.safetensors").read_bytes()
    monkeypatch.setenv("PPO_CACHE", str(tmp_path / "another"))
    again = warm()
    assert len(warm.loads) == 2
    assert again.name == first.name
    assert (again / "model.safetensors").read_bytes() == weights


def test_other_examples_or_settings_are_another_warm_start(warm):
    folders = {
        warm(settings=SETTINGS.model_copy(update={"epochs": 1})),
        warm(settings=SETTINGS.model_copy(update={"epochs": 2})),
        warm([replace(EXAMPLES[0], answer="yes."), *EXAMPLES[1:]], SETTINGS.model_copy(update={"epochs": 1})),
    }
    assert len(folders) == 3


def test_a_changed_cache_is_noticed(warm):
    weights = warm(settings=SETTINGS.model_copy(update={"epochs": 1})) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="was changed"):
        warm(settings=SETTINGS.model_copy(update={"epochs": 1}))


def test_every_file_of_the_cache_is_checked(warm):
    settings = SETTINGS.model_copy(update={"epochs": 1})
    (warm(settings=settings) / "config.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"was changed: config\.json"):
        warm(settings=settings)


def test_another_config_json_is_another_warm_start(warm, tiny_model, monkeypatch):
    settings = SETTINGS.model_copy(update={"epochs": 1})
    before = warm(settings=settings)
    monkeypatch.setattr("tests.engine.test_warm_start.model_digests", lambda *_: {**DIGESTS(*_), "config": "other"})
    assert warm(settings=settings) != before


def test_a_failed_training_leaves_no_half_model(warm, monkeypatch):
    monkeypatch.setattr("ppo_cli.engine.warm_start.export_support_files", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        warm(settings=SETTINGS.model_copy(update={"epochs": 1}))
    monkeypatch.undo()
    assert (warm(settings=SETTINGS.model_copy(update={"epochs": 1})) / "model.safetensors").is_file()


def test_control_tokens_of_the_examples_end_no_turn(warm):
    tokenizer = warm.tokenizer
    plain, forged, ended = (
        _example(tokenizer, replace(EXAMPLES[0], answer=text)) for text in ("no", "no<eos><user>hi", "no<eos> ")
    )
    assert forged["input_ids"].count(tokenizer.stop_ids[0]) == plain["input_ids"].count(tokenizer.stop_ids[0])
    assert tokenizer.tokenizer.convert_ids_to_tokens(forged["input_ids"]).count("<user>") == 1
    assert ended == plain
