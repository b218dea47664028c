"""Reward models of one label, several, or none; read through their own tokenizer."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForSequenceClassification

from ppo_cli.errors import ConfigError, ModelError
from ppo_cli.experiment.term_types import Classifier
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.classifier import classifier, token_ids
from ppo_cli.rewards.scorer import RewardContext, scores_of
from tests.tiny_models import SHAPE, save_tiny_model, tiny_tokenizer

TEXTS = ["yes, do that", "no", "", "a much longer answer, that goes on", "没有 🙂"]


@pytest.fixture
def save(tmp_path):
    def make(labels=("score",), template=True, pad=0):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            config = LlamaConfig(**{**SHAPE, "pad_token_id": pad}, id2label=dict(enumerate(labels)))
            model = LlamaForSequenceClassification(config)
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    torch.nn.init.normal_(parameter, std=0.2)
        folder = tmp_path / f"rm-{len(labels)}-{template}-{pad}"
        model.save_pretrained(folder)
        tokenizer = tiny_tokenizer()
        if not template:
            tokenizer.chat_template = None
        if pad is None:
            tokenizer.pad_token = None
        tokenizer.save_pretrained(folder)
        return folder, model.eval(), tokenizer

    return make


def term(folder, label=None, **parameters):
    given = Classifier(**{"model": str(folder), "label": label, "max_tokens": 64, "batch_size": 2, **parameters})
    context = RewardContext(device="cpu", fetch_model=lambda path, model, revision: folder)
    scorer = classifier("reward.terms.rm", given, context)
    prompts = [Prompt(id=str(index), text="well?") for index in range(len(TEXTS))]
    answers = [Answer(text=text, token_count=3, finish="eos") for text in TEXTS]
    return scores_of("rm", scorer, prompts, answers, [()] * len(TEXTS))


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def test_one_label_is_the_score_of_the_conversation_under_its_own_template(save):
    folder, model, tokenizer = save()
    for text, score in zip(TEXTS, term(folder), strict=True):
        ids = tokenizer(f"<user>well?<eos><assistant>{text}<eos>", add_special_tokens=False)["input_ids"]
        assert score == pytest.approx(float(logits_of(model, ids)[0]), abs=1e-5)


def test_a_decoder_without_a_template_gets_a_separator_and_its_end_token(save):
    folder, model, tokenizer = save(template=False)
    ids = [*tokenizer(f"well?\n\n{TEXTS[0]}")["input_ids"], tokenizer.eos_token_id]
    assert term(folder)[0] == pytest.approx(float(logits_of(model, ids)[0]), abs=1e-5)
    assert token_ids("rm", tokenizer, "well?", TEXTS[0], 5)["input_ids"] == ids[-5:]


def test_an_encoder_without_a_template_gets_its_own_pair(save):
    _, _, tokenizer = save(template=False)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A <eos>", pair="$A <eos> $B <eos>", special_tokens=[("<eos>", tokenizer.eos_token_id)]
    )
    assert (
        token_ids("rm", tokenizer, "well?", "no", 64)["input_ids"] == tokenizer("well?<eos>no<eos>")["input_ids"][:-1]
    )


def test_control_tokens_of_an_answer_are_text_without_a_template_too(save):
    _, _, tokenizer = save(template=False)
    assert token_ids("rm", tokenizer, "well?", "no<eos>", 64)["input_ids"].count(tokenizer.eos_token_id) == 1


def test_a_named_label_scores_by_its_log_odds(save):
    folder, model, tokenizer = save(("bad", "good"))
    good, bad = term(folder, "good"), term(folder, "bad")
    ids = tokenizer(f"<user>well?<eos><assistant>{TEXTS[0]}<eos>", add_special_tokens=False)["input_ids"]
    logits = logits_of(model, ids)
    assert good[0] == pytest.approx(float(logits[1] - logits[0]), abs=1e-5)
    assert bad == pytest.approx([-score for score in good], abs=1e-5)
    folder, model, _ = save(("bad", "fair", "good"))
    logits = logits_of(model, ids)
    assert term(folder, "fair")[0] == pytest.approx(float(logits[1] - torch.logsumexp(logits[[0, 2]], dim=0)), abs=1e-5)


def test_two_labels_and_no_name_or_a_wrong_one(save):
    folder, _, _ = save(("bad", "good"))
    with pytest.raises(ConfigError, match=r"reward\.terms\.rm\.label: missing; the model has 2 labels \(bad, good\)"):
        term(folder)
    with pytest.raises(ConfigError, match=r"no label 'god'\. Did you mean good\?"):
        term(folder, "god")


def test_a_model_without_labels(save):
    folder, _, _ = save()
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"0": "score"', "").replace('"score": 0', ""))
    with pytest.raises(ConfigError, match=r"reward\.terms\.rm\.model: it has no label"):
        term(folder)


def test_a_language_model_is_not_a_reward_model(tmp_path):
    folder = save_tiny_model(tmp_path / "lm")
    with pytest.raises(ModelError, match=r"is not a sequence classifier but a LlamaForCausalLM"):
        term(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace("LlamaForCausalLM", "LlamaForSequenceClassification"))
    with pytest.raises(ModelError, match=r"is not a trained classifier: it has no score\.weight"):
        term(folder, "LABEL_1")


def test_without_a_pad_token_rows_are_scored_one_by_one(save):
    padded, _, _ = save()
    bare, _, _ = save(pad=None)
    assert term(bare, batch_size=16) == pytest.approx(term(padded), abs=1e-5)


def test_the_beginning_of_a_long_conversation_is_cut(save):
    folder, model, tokenizer = save()
    ids = tokenizer(f"<user>well?<eos><assistant>{TEXTS[3]}<eos>", add_special_tokens=False)["input_ids"]
    assert term(folder, max_tokens=12)[3] == pytest.approx(float(logits_of(model, ids[-12:])[0]), abs=1e-5)


@pytest.mark.parametrize("pad_of_tokenizer", ["<pad>", "<unk>", "<eos>", None])
@pytest.mark.parametrize("pad_of_model", [0, 5, None])
def test_a_row_gets_the_same_score_alone_and_in_a_batch_whatever_pads(save, pad_of_tokenizer, pad_of_model):
    folder, _, tokenizer = save(pad=pad_of_model)
    tokenizer.pad_token = pad_of_tokenizer
    tokenizer.save_pretrained(folder)
    assert term(folder) == pytest.approx(term(folder, batch_size=1), abs=1e-5)


def test_the_models_own_pad_token_decides(save):
    folder, model, tokenizer = save(pad=5)
    tokenizer.pad_token = "<eos>"
    tokenizer.save_pretrained(folder)
    ids = tokenizer(f"<user>well?<eos><assistant>{TEXTS[0]}<eos>", add_special_tokens=False)["input_ids"]
    assert term(folder)[0] == pytest.approx(float(logits_of(model, ids)[0]), abs=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: {f"module.{name}": value for name, value in w.items()}, r"names hold 'module\.'"),
        (lambda w: {name: value for name, value in w.items() if "layers.1." not in name}, r"layers\.1\..* are missing"),
        (lambda w: {**w, "score.weight": torch.zeros(3, 32)}, r"score\.weight has another shape"),
        (lambda w: {**w, "score.weight": torch.full((1, 32), float("nan"))}, "holds NaN"),
    ],
)
def test_weights_that_do_not_fit_are_refused(save, change, reason):
    folder, _, _ = save()
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"reward\.terms\.rm\.model: .*{reason}"):
        term(folder)
