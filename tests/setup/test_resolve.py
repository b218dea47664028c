"""Resolving an experiment: what was read, what it is tokenized to, and what a run folder gets of it."""

import pytest

from ppo_cli.errors import PromptError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.records.events import ignore_events
from ppo_cli.setup.freeze_inputs import freeze_inputs, verify_against_lock
from ppo_cli.setup.resolve import read_inputs, resolve_experiment
from ppo_cli.store.new_run import create_run


@pytest.fixture
def resolve(tiny_config):
    """Resolves the tiny config with some overrides."""
    return lambda *overrides: resolve_experiment(
        read_inputs(load_experiment(tiny_config, overrides).experiment), ignore_events
    )


def test_prompts_have_the_token_ids_that_the_model_reads(resolve):
    resolved = resolve()
    assert [prompt for prompt, _ in resolved.train] == resolved.inputs.train
    for prompt, ids in (*resolved.train, *resolved.evaluation):
        assert ids == resolved.tokenizer.render(prompt.text)


def test_some_of_the_prompts_keep_their_order_and_their_token_ids(resolve):
    prompts = resolve().evaluation
    third, first = prompts.prompts[2], prompts.prompts[0]
    some = prompts.only({third.id, first.id, "another"})
    assert list(some) == [(first, prompts.token_ids[0]), (third, prompts.token_ids[2])]


def test_a_prompt_over_the_limit_is_named(resolve):
    with pytest.raises(PromptError, match=r"train\.jsonl: prompt 'train-000' is \d+ tokens long, over .* = 8"):
        resolve("prompts.max_tokens=8")


def test_the_copies_hold_the_text_that_was_read_without_a_byte_order_mark(tiny_config, tmp_path):
    file = tiny_config.parent / "train.jsonl"
    text = file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8-sig")
    resolved = resolve_experiment(read_inputs(load_experiment(tiny_config).experiment), ignore_events)
    frozen = freeze_inputs(resolved)
    assert frozen.texts["inputs/train.jsonl"] == text
    run = create_run(tmp_path / "runs" / "x", frozen, {}, repeat=False)
    experiment, lock = run.verify()
    verify_against_lock(lock, resolve_experiment(read_inputs(experiment), ignore_events), run.name)
