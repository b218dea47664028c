"""Reward models of one label, several, or none; read through their own tokenizer."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from ppo_cli.errors import ConfigError, ModelError
from ppo_cli.experiment.term_types import Classifier
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.classifier import classifier
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


def test_without_a_template_prompt_and_answer_are_a_pair(save):
    folder, model, tokenizer = save(template=False)
    ids = tokenizer("well?", TEXTS[0])["input_ids"]
    assert term(folder)[0] == pytest.approx(float(logits_of(model, ids)[0]), abs=1e-5)


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
