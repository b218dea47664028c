"""Measures of a config: scored as a reward term of the same type is, by the same rules."""

import pytest

from ppo_cli.errors import CheckFailedError, ConfigError
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.own_measures import OwnMeasures
from ppo_cli.rewards.registry import open_term
from ppo_cli.rewards.scorer import RewardContext, scores_of

PROMPTS = [Prompt(id=str(index), text="Well?", keywords=("yes",)) for index in range(40)]
ANSWERS = [Answer(text="yes " * index, token_count=index + 1, finish="eos") for index in range(40)]


def measures(**given):
    settings = Evaluation(measures=given).measures
    return OwnMeasures(settings, RewardContext()), settings


def test_values_are_those_of_the_reward_term_of_the_same_type(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def score(answers, tokens, factor: float = 1.0):\n    return [factor * n for n in tokens]\n")
    own, settings = measures(
        size={"type": "python", "function": f"{file}:score", "factor": 0.5, "better": "lower"},
        brief={"type": "length_band", "max": 9},
        has_keyword={},
    )
    values = own.values(PROMPTS, ANSWERS)
    assert [set(row) for row in values] == [{"size", "brief", "has_keyword"}] * 40
    for name, measure in settings.items():
        scorer = open_term(f"reward.terms.{name}", measure, RewardContext())
        assert [row[name] for row in values] == scores_of(name, scorer, PROMPTS, ANSWERS, [()] * 40)
    assert [row["size"] for row in values] == [0.5 * (index + 1) for index in range(40)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [1.0]", r"The measure own\.mine returned 1 scores for 32 answers"),
        ("return [float('nan')] * len(answers)", r"The score of prompt '0' is nan \(measure own\.mine\)"),
        ("raise SystemExit(3)", r"The measure own\.mine failed: ExitError"),
    ],
)
def test_a_measure_keeps_the_contract_of_a_reward_term(tmp_path, body, message):
    file = tmp_path / "mine.py"
    file.write_text(f"def score(answers):\n    {body}\n")
    with pytest.raises(CheckFailedError, match=message):
        measures(mine={"type": "python", "function": f"{file}:score"})[0].values(PROMPTS, ANSWERS)


def test_a_share_lies_from_0_to_1():
    measures(ended={"type": "ends_turn", "unit": "%"})[0].values(PROMPTS, ANSWERS)
    with pytest.raises(CheckFailedError, match=r"own\.size gives an answer to prompt '0' -0\.97\d+, and its unit is %"):
        measures(size={"type": "repetition", "unit": "%"})[0].values(PROMPTS, [ANSWERS[-1]] * 40)


def test_a_function_that_compares_is_no_measure(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def score(answers, others):\n    return [0.0 for _ in answers]\n")
    with pytest.raises(ConfigError, match=r"evaluation\.measures\.mine\.function: it names `others`"):
        measures(mine={"type": "python", "function": f"{file}:score"})[0].open()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ends_turn": {"weight": 2.0}}, "has no effect on a measure"),
        ({"ends_turn": {"normalise": True}}, "has no effect on a measure"),
        ({"a.b": {"type": "ends_turn"}}, "should match pattern"),
        ({"fits_prompt": {}}, "does not match any of the expected tags"),
    ],
)
def test_what_makes_no_measure_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        measures(**given)
