"""What a plan says of a reward, without running a line of it."""

import json

import pytest

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.schema import Reward
from ppo_cli.rewards.static_checks import check_terms
from tests import made_runs


def with_reward(terms):
    return made_runs.experiment(reward=Reward(terms=terms))


@pytest.fixture
def check(tmp_path):
    def check(source, **parameters):
        file = tmp_path / "mine.py"
        file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{source}\n", encoding="utf-8")
        check_terms(with_reward({"mine": {"type": "python", "function": f"{file}:score", **parameters}}))
        assert not (tmp_path / "ran").exists()

    return check


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        ("def score(answers, prompts): ...", {}),
        ("def score(answers, factor, *, limit=3): ...", {"factor": 2}),
        ("def score(answers, factor=1, **rest): ...", {"anything": 2}),
        ("from elsewhere import score", {"anything": 2}),
        ("from elsewhere import other as score", {}),
        ("score = make()", {"anything": 2}),
        ("@wraps\ndef score(x): ...", {"anything": 2}),
        ("if True:\n    def score(answers): ...", {}),
    ],
)
def test_what_may_work_passes(check, source, parameters):
    check(source, **parameters)


@pytest.mark.parametrize(
    ("source", "parameters", "message"),
    [
        ("def score(answers, factor): ...", {}, r"mine\.factor: missing; the function has no default"),
        ("def score(answers, *, factor): ...", {}, r"mine\.factor: missing"),
        ("def score(answers, factor): ...", {"facto": 1}, r"mine\.facto: the function has no such parameter\. Did you"),
        ("def scores(answers): ...", {}, r"has no function 'score'\. Did you mean scores\?"),
        ("def score(answers)", {}, r"cannot be loaded: SyntaxError"),
        ("x = " + "(" * 500 + ")" * 500, {}, r"cannot be loaded: SyntaxError"),
    ],
)
def test_what_cannot_work_is_named(check, source, parameters, message):
    with pytest.raises(ConfigError, match=message):
        check(source, **parameters)


def test_a_missing_file_or_folder_is_named(tmp_path):
    for term, key in (
        ({"type": "python", "function": f"{tmp_path}/none.py:score"}, "function: no file or installed module"),
        ({"type": "classifier", "model": f"{tmp_path}/none"}, "model: .*: no such folder"),
        ({"type": "classifier", "model": "models/rm/none"}, "model: .*: no such folder"),
        ({"type": "classifier", "model": str(tmp_path)}, "model: .* has no config.json"),
        ({"type": "preference", "pairs": "p.jsonl", "base": f"{tmp_path}/none"}, "base: .*: no such folder"),
    ):
        with pytest.raises(ConfigError, match=rf"reward\.terms\.it\.{key}"):
            check_terms(with_reward({"it": term}))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "is not a sequence classifier but a LlamaForCausalLM"),
        ([], "is damaged"),
        ({"architectures": 3}, "is damaged"),
    ],
)
def test_a_folder_that_holds_no_reward_model_is_named(tmp_path, config, message):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=message):
        check_terms(with_reward({"it": {"type": "classifier", "model": str(tmp_path)}}))


def test_a_hugging_face_id_and_a_good_folder_pass(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForSequenceClassification"]}))
    for model in ("someone/reward-model", "reward-model", str(tmp_path)):
        check_terms(with_reward({"it": {"type": "classifier", "model": model}}))
