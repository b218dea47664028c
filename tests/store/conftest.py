"""A run folder with a real lock, and a process that is gone."""

import hashlib

import pytest

from ppo_cli.experiment import freeze
from ppo_cli.experiment.load import to_yaml
from ppo_cli.experiment.schema import Experiment, Model, Prompts, Reward
from ppo_cli.store.layout import PROMPT_FILES
from ppo_cli.store.new_run import create_run
from ppo_cli.store.runs import (
    FrozenExperiment,
)


@pytest.fixture
def claim(tmp_path):
    """Claims a run folder with a real lock over a config and an evaluation set."""

    def make(name="x-s1", repeat=False, **state):
        experiment = Experiment(
            name="x",
            goal="g",
            model=Model(start="builtin:smollm2-135m-instruct"),
            prompts=Prompts(train="inputs/train.jsonl", eval="inputs/eval.jsonl"),
            reward=Reward(terms={"ends_turn": {"weight": 1.0}}),
        )
        texts = {"config.yaml": to_yaml(experiment), "inputs/eval.jsonl": '{"id": "a", "prompt": "b"}\n'}
        folder = tmp_path / "runs" / name
        files = {path: _sha256(text) for path, text in texts.items()}
        frozen = FrozenExperiment(
            experiment=experiment,
            copies={key: PROMPT_FILES[key] for key in ("prompts.train", "prompts.eval")},
            lock=freeze.freeze(experiment, {}, files),
            texts=texts,
        )
        return create_run(folder, frozen, state, repeat)

    return make


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def abandon():
    """Ends a run as a kill does: the system takes the lock back, nothing is written."""

    def kill(run):
        run._run_lock.release()

    return kill
