"""No config and no override, however wrong, ends in anything but a sentence with a next step."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ppo_cli.errors import PpoError
from ppo_cli.experiment.load import load_experiment, to_yaml
from ppo_cli.experiment.schema_index import schema_keys
from tests.fuzz.limits import FUZZ, for_a_while
from tests.fuzz.values import HOSTILE, changed, places, values

pytestmark = pytest.mark.slow
BASE = {
    "name": "x",
    "goal": "Say it briefly.",
    "model": {"start": "builtin:none", "train": {"lora": {"r": 4}}},
    "prompts": {"train": "train.jsonl", "eval": "eval.jsonl"},
    "tracking": ["wandb"],
    "kl": {"coef": 0.1, "target": None},
    "evaluation": {"measures": {"ends_turn": {"unit": "%"}, "own": {"type": "python", "function": "f.py:f", "x": 1}}},
    "reward": {
        "terms": {
            "matches_expect": {"weight": 1.0},
            "brief": {"type": "length_band", "max": 20},
            "form": {"type": "format", "form": "regex", "pattern": "^a"},
            "mine": {"type": "python", "function": "f.py:f", "factor": 2},
            "judge": {"type": "http", "url": "https://h/score"},
        }
    },
}
PLACES = list(places(BASE))
TEXT = yaml.safe_dump(BASE)
KEYS = sorted(schema_keys())


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "c.yaml"


def read(file, text, overrides=()):
    """Reads a config, and if it is one, writes it as a run does."""
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        loaded = load_experiment(file, overrides)
    except PpoError as error:
        refusal = error
    else:
        to_yaml(loaded.experiment)
        return
    assert refusal.message
    assert refusal.next_step


def test_a_wrong_value_in_any_place(file):
    for_a_while("configs", lambda check_time: _change_values(file, check_time))


def _change_values(file, check_time):
    @FUZZ
    @given(st.lists(st.tuples(st.sampled_from(PLACES), values, st.booleans()), min_size=1, max_size=3))
    def run(changes):
        tree = BASE
        for path, value, delete in changes:
            if path in list(places(tree)):
                tree = changed(tree, path, value, delete=delete)
        check_time()
        read(file, json.dumps(tree))

    run()


def test_any_edit_of_the_text(file):
    for_a_while("configs", lambda check_time: _edit_text(file, check_time))


def _edit_text(file, check_time):
    parts = st.sampled_from(
        [
            *TEXT,
            "\t",
            "\0",
            "\x1b",
            ": ",
            "- ",
            "&a ",
            "*a",
            "!!int ",
            "? ",
            "[",
            "{",
            "|\n",
            "\ufeff",
            "~: 1\n",
            "%",
            "@",
        ]
    )

    @FUZZ
    @given(st.integers(0, len(TEXT)), st.integers(0, 12), st.lists(parts, max_size=4).map("".join))
    def run(start, length, part):
        check_time()
        read(file, TEXT[:start] + part + TEXT[start + length :])

    run()


def test_any_override(file):
    for_a_while("configs", lambda check_time: _override(file, check_time))


def _override(file, check_time):
    written = st.one_of(
        st.text(max_size=20), st.sampled_from([str(value) for value in HOSTILE[:6]] + ["1:30", "[a", "{a: b"])
    )

    @FUZZ
    @given(st.one_of(st.sampled_from(KEYS), st.text(max_size=12)), st.one_of(written, values.map(json.dumps)))
    def run(key, value):
        check_time()
        read(file, TEXT, [f"{key.replace('*', 'mine')}={value}"])

    run()
