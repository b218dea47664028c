"""Run folders with answers of one's choice, written by the store itself, without a model or an update."""

import hashlib

import numpy as np

from ppo_cli.behaviours.label_answers import RULES, RULES_VERSION, label_sample
from ppo_cli.experiment import freeze
from ppo_cli.experiment.load import to_yaml
from ppo_cli.experiment.schema import Evaluation, Experiment, Kl, Model, Prompts, Reward
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.store.evaluations import write_evaluation
from ppo_cli.store.files import write_json
from ppo_cli.store.layout import PROMPT_FILES
from ppo_cli.store.new_run import create_run
from ppo_cli.store.runs import FrozenExperiment
from tests.answers import sample
from tests.tiny_models import rows, write_rows

REFUSAL = "I'm sorry, but I can't help with that."
HELP = "Here is how to do it, step by step. First take the {} and turn it {} times."


def experiment(**changes):
    """The experiment of a made run, its inputs inside the folder."""
    given = {
        "name": "made",
        "goal": "Refuse what hurts, help with the rest.",
        "model": Model(start="builtin:none"),
        "prompts": Prompts(train=PROMPT_FILES["prompts.train"], eval=PROMPT_FILES["prompts.eval"]),
        "evaluation": Evaluation(samples_per_prompt=2),
        "reward": Reward(terms={"ends_turn": {}}),
        "kl": Kl(coef=0.1),
    }
    return Experiment(**{**given, **changes})


def make_run(
    output,
    *,
    prompts=60,
    unsafe=0.9,
    safe=0.5,
    draw=0,
    started="",
    eval_rows=None,
    train_rows=None,
    content=None,
    **changes,
):
    """A finished run whose last policy refuses so often.

    Args:
        output: folder of run folders.
        prompts: how many evaluation prompts.
        unsafe: chance of refusing a prompt that should be refused.
        safe: chance of refusing a prompt that should be helped with.
        draw: seed of the answers.
        started: when, in place of now.
        eval_rows: evaluation prompts, in place of so many.
        train_rows: training prompts.
        content: values of content groups, in place of the usual.
        changes: fields of the experiment.
    """
    setting = experiment(**changes)
    files = {
        PROMPT_FILES["prompts.train"]: train_rows or rows("train", 8),
        PROMPT_FILES["prompts.eval"]: eval_rows or rows("eval", prompts, start=200),
    }
    scratch = output / "scratch.jsonl"
    texts, read = {"config.yaml": to_yaml(setting), "inputs/chat_template.jinja": "{{ messages }}"}, {}
    for name, lines in files.items():
        texts[name] = write_rows(scratch, lines).read_text(encoding="utf-8")
        read[name] = read_prompts(scratch)
    scratch.unlink()
    asked, learnt = read[PROMPT_FILES["prompts.eval"]], read[PROMPT_FILES["prompts.train"]]
    digests = {name: freeze.digest_rows([as_row(prompt) for prompt in prompts]) for name, prompts in read.items()}
    frozen_content = {
        "start_model": {"weights": "w", "tokenizer": "t", "chat_template": "c", "system_prompt": None},
        "train_set": {"rows": len(learnt), "rows_sha256": digests[PROMPT_FILES["prompts.train"]]},
        "eval_set": {"rows": len(asked), "rows_sha256": digests[PROMPT_FILES["prompts.eval"]]},
        "rendered": {"train": "t", "eval": digests[PROMPT_FILES["prompts.eval"]]},
        "behaviours": dict(RULES),
        **(content or {}),
    }
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    lock = freeze.freeze(setting, frozen_content, hashes)
    root = output / f"{setting.name}-kl{setting.kl.coef:g}-s{setting.seed}-{lock.fingerprint[:6]}"
    copies = {key: name for key, name in PROMPT_FILES.items() if name in files}
    frozen = FrozenExperiment(experiment=setting, copies=copies, lock=lock, texts=texts)
    run = create_run(root, frozen, {"updates_done": 4}, repeat=True)
    write_json(run.layout.provenance, {"packages": {"torch": "2"}, "git": {"commit": "0" * 40, "dirty": False}})
    samples = answers(asked, unsafe, safe, draw, setting.evaluation.samples_per_prompt)
    about = {"partial": False, "of": evaluated_at(run, 4)}
    write_evaluation(run.layout.evaluation(4), samples, label_sample(asked, samples), (), RULES_VERSION, about)
    run.close("finished", exit_code=0)
    if started:
        run.update_state(started=started)
    return run.layout.root


def evaluated_at(run, step):
    """What a summary says that the evaluation of a step is of."""
    return {"lock": run.lock().fingerprint, "step": step, "checkpoint": None}


def answers(asked, unsafe, safe, draw, count):
    """Answers that refuse so often; a prompt's own inclination is the same in every run."""
    lean = np.random.default_rng(99).normal(0, 0.15, size=len(asked))
    generator = np.random.default_rng(draw)
    words = "red blue left right cup lid pan saw nail door lamp soil seed rope".split()
    made = []
    for prompt, leaning in zip(asked, lean, strict=True):
        chance = (unsafe if prompt.expect == "refuse" else safe) + leaning
        for number in range(count):
            refuses, said = generator.random() < chance, HELP.format(*generator.choice(words, 2))
            made.append(
                sample(
                    prompt.id,
                    number,
                    REFUSAL if refuses else said,
                    tokens=9 if refuses else int(generator.integers(12, 40)),
                    kl=0.5 if number == 0 else None,
                )
            )
    return made


def seeds(output, numbers, *, spread=0.0, safe=0.5, **settings):
    """Runs of one setting that differ in the seed; their rates of refusal wander by `spread`."""
    wander = np.random.default_rng(5).normal(0, spread, size=1000)
    return [make_run(output, seed=seed, draw=seed, safe=safe + wander[seed], **settings) for seed in numbers]


def varied(setting, **changes):
    """An experiment with some fields changed."""
    return setting.model_copy(update=changes)
