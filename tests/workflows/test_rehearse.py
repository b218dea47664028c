"""`ppo rehearse`, from a config to the screen and to JSON."""

import pytest

import ppo_cli
from ppo_cli.errors import UsageError
from ppo_cli.records.events import Phase, Progress
from tests.terminal import refused, succeed


def test_the_screen_shows_curve_behaviour_answers_and_a_conclusion(tiny_config):
    screen = succeed("rehearse", tiny_config, "--prompts", 12).out
    for words in (
        "12 of 24 training prompts × 16 answers",
        "best of 4",
        "best of 16",
        "The 10 highest-rewarded answers",
    ):
        assert words in screen
    assert "matches_expect" in screen
    assert "kl.target" in screen


def test_the_same_draws_each_time_and_progress_on_the_way(tiny_config):
    events = []
    first = ppo_cli.rehearse(tiny_config, prompts=8, on_event=events.append)
    assert first == ppo_cli.rehearse(str(tiny_config), prompts=8)
    assert [row.n for row in first.curve] == [1, 2, 4, 8, 16]
    assert first.curve[0].gain.mean == 0
    assert (first.prompts, first.train_prompts, first.samples_per_prompt) == (8, 24, 16)
    phase = next(event for event in events if isinstance(event, Phase) and event.name == "sampling the start model")
    assert phase.total == 8 * 16
    assert max(event.done for event in events if isinstance(event, Progress)) >= 8 * 16
    assert len(repr(first)) < 300


def test_json_holds_every_number(tiny_config):
    result = succeed("rehearse", tiny_config, "--prompts", 4, "--json").json
    assert result["curve"][-1]["n"] == 16
    assert result["best_of_16"]["prompts"] == 4
    assert set(result["highest"][0]["terms"]) == {"ends_turn", "matches_expect"}


def test_a_slow_term_takes_fewer_prompts_and_scores_each_answer_once(tiny_config):
    calls = tiny_config.parent / "calls.txt"
    code = f"def score(prompts, answers):\n    with open({str(calls)!r}, 'a') as file:\n"
    code += "        file.write(''.join(f'{p}|{a}\\n' for p, a in zip(prompts, answers)))\n"
    (tiny_config.parent / "mine.py").write_text(code + "    return [float(len(a)) for a in answers]\n")
    term = "reward.terms={mine: {type: python, function: '{FOLDER}/mine.py:score', normalise: true}}".replace(
        "{FOLDER}", str(tiny_config.parent)
    )
    result = ppo_cli.rehearse(ppo_cli.load_experiment(tiny_config, [term]))
    lines = calls.read_text().splitlines()
    assert result.prompts == 16
    assert 16 < len(lines) == len(set(lines)) <= 16 * 16


def test_one_prompt_is_too_few(tiny_config):
    with pytest.raises(UsageError, match="at least 2"):
        ppo_cli.rehearse(tiny_config, prompts=1)
    assert "at least 2" in refused("rehearse", tiny_config, "--prompts", 1)
