"""The shipped experiment on the real built-in model, cut short: train twice, evaluate, compare."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from ppo_cli.evaluation.compare import compare
from ppo_cli.evaluation.evaluate import evaluate
from ppo_cli.experiment.load import load_experiment
from ppo_cli.training.train import train
from tests.tiny_models import write_rows

SHIPPED = Path(__file__).parents[2] / "configs" / "refusal.yaml"
SHORT = [
    "model.warm_start=null",
    "ppo.updates=2",
    "ppo.episodes_per_update=8",
    "ppo.minibatches=2",
    "ppo.epochs=1",
    "ppo.warmup_updates=0",
    "reward.baseline_samples=1",
    "model.train.top_layers=4",
    "rollout.max_new_tokens=8",
    "evaluation.max_new_tokens=8",
    "evaluation.samples_per_prompt=2",
    "evaluation.every=0",
    "checkpoints.every=2",
]


@pytest.mark.builtin_model
def test_the_shipped_experiment_cut_short(builtin_model, tmp_path, monkeypatch):
    few = [json.loads(line) for line in (SHIPPED.parent / "prompts/refusal/eval.jsonl").read_text().splitlines()[:12]]
    settings = [*SHORT, f"prompts.eval={write_rows(tmp_path / 'eval.jsonl', few)}"]
    first, again, other = (
        train(load_experiment(SHIPPED, [*settings, *treatment]), repeat=True) for treatment in ([], [], ["kl.coef=0.5"])
    )

    for name in ("metrics.jsonl", "rollouts.jsonl", "checkpoints/step-000002/model.safetensors"):
        assert (Path(first.folder) / name).read_bytes() == (Path(again.folder) / name).read_bytes(), name
    assert first.first["kl"] == pytest.approx(0, abs=1e-3)
    assert first.last["kl"] != 0
    reference = json.loads((Path(first.folder) / "provenance.json").read_text())["reference"]
    assert reference["sha256_at_start"] == reference["sha256_at_end"]

    (outcome,) = compare([first.folder, other.folder], runs_dir=tmp_path)
    assert outcome.treatments == {"kl.coef": (0.06, 0.5)}
    assert set(outcome.confounders) <= {"git"}  # somebody may commit meanwhile

    model = AutoModelForCausalLM.from_pretrained(first.checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(first.checkpoint)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of Italy?"}], add_generation_prompt=True, return_tensors="pt"
    )
    answer = model.generate(**ids, max_new_tokens=8, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Rome" in tokenizer.decode(answer)

    found = evaluate(first.checkpoint)
    assert found.prompts == 12
    assert found.comparison is not None
