"""A run with a warm start: its start model is trained anew where the cache is gone, and must be the very same."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import ppo_cli
from ppo_cli.errors import IntegrityError
from ppo_cli.models.cache_dir import CACHE_VARIABLE
from ppo_cli.records.chat import ChatOptions
from ppo_cli.records.exports import ExportOptions
from tests.terminal import only_run, succeed
from tests.tiny_models import rows, write_rows

pytestmark = pytest.mark.slow


def test_the_start_model_is_restored_weight_by_weight_or_the_chat_is_refused(tiny_config, tmp_path, monkeypatch):
    examples = [{**row, "answer": "no, never."} for row in rows("sft", 8, start=300)]
    sft = write_rows(tiny_config.parent / "sft.jsonl", examples)
    words = ["ppo.updates=1", "ppo.warmup_updates=0", f"model.warm_start={sft}", "model.sft.learning_rate=1.0e-2"]
    succeed("train", tiny_config, "model.sft.top_layers=2", *words)
    run = only_run()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "emptied"))  # so it has to be trained anew
    start, policy = ppo_cli.open_chat([run], options=ChatOptions(max_tokens=4)).models
    before = ppo_cli.find_run(run).experiment().model.start
    assert not torch.equal(
        start.model.state_dict()["model.layers.3.mlp.up_proj.weight"],
        load_file(f"{before}/model.safetensors")["model.layers.3.mlp.up_proj.weight"],
    )  # the warm start is part of it

    result = ppo_cli.export(run, tmp_path / "adapter", options=ExportOptions(adapter=True))
    assert result.base == "./base"
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter" / "base")
    assert all(torch.equal(tensor, base.state_dict()[name]) for name, tensor in start.model.state_dict().items())
    merged = PeftModel.from_pretrained(base, tmp_path / "adapter").merge_and_unload().state_dict()
    assert all(torch.equal(tensor, merged[name]) for name, tensor in policy.model.state_dict().items())
    assert "warm start: SFT" in (tmp_path / "adapter" / "README.md").read_text(encoding="utf-8")

    record = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    record["reference"]["sha256_at_start"] = "0" * 64
    (run / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"has other weights than when the run started\. Talk to .* --alone"):
        ppo_cli.open_chat([run])
    assert ppo_cli.open_chat([run], options=ChatOptions(alone=True, max_tokens=4)).ask("a brick?").answers
