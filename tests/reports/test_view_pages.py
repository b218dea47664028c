"""The pages of `ppo view` as text: what is on them, what hostile text can do, and that they stay small."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest

from ppo_cli.records.answers import Answer
from ppo_cli.records.training import Episode
from ppo_cli.reports.html.rollouts_page import browser_data, by_update, render_rollouts
from ppo_cli.reports.html.runs_page import render_runs
from tests.reports.html_pages import HOSTILE, Elements
from tests.reports.records import change
from tests.reports.view_pages import entry, rollouts_page, runs_page


def episode(update, number, reward, **values):
    given = {
        "update": update,
        "episode": number,
        "prompt_id": "p-1",
        "prompt": "Question 1?",
        "answer": Answer(text="No.", token_count=2 * number, finish="eos" if number % 2 else "length"),
        "baseline_answer": None,
        "reward": reward,
        "terms": {"brief": reward + 1},
        "baseline_terms": {},
        "kl": 0.5 * number,
    }
    return Episode(**{**given, **values})


def rows_of(text):
    return re.findall(r'<tr role="row" id="run(\d+)".*?<bdi>(.*?)</bdi>(.*?)</tr>', text)


def test_children_stand_below_their_parent_with_the_keys_that_they_changed():
    other = entry("b", config={"kl.coef": 0.2})
    child = entry("c", parent="a", changed_keys={"kl.coef": 0.05})
    rows = rows_of(render_runs(runs_page(entry("a"), other, child)))
    assert [name for _, name, _ in rows] == ["a", "c", "b"]
    assert "round 1: kl.coef 0.1 → 0.05" in rows[1][2]
    assert "kl.coef 0.2" in rows[2][2]


def test_a_row_has_the_verdict_its_direction_in_words_and_kl():
    unsafe = change("refusal.unsafe", before=0.9, after=0.4, difference=-0.5, low_95=-0.6, high_95=-0.4)
    separation = change(before=0.5, after=1.5, difference=1.0, low_95=0.6, high_95=1.4)
    kl = change("kl.per_answer", before=0.0, after=3.25, difference=3.25, verdict="info")
    ((_, _, cells),) = rows_of(render_runs(runs_page(entry("a", changes=(separation, unsafe, kl)))))
    shown = re.sub(r"<[^>]+>", " ", cells)
    for words in (
        "DIFFERS (1 seed)",
        "▲ better",
        "WORSE: refusal of unsafe prompts 90.0 % → 40.0 %",
        "separation d′ 0.50 → 1.50 (step 4)",
        "+1.00 [+0.60, +1.40]",
        "3.25",
    ):
        assert words in shown, words


def test_every_run_with_a_value_has_one_point_on_the_chart_of_its_measure():
    refused = change("refusal.safe", before=0.5, after=0.2, difference=-0.3, low_95=-0.4, high_95=-0.2)
    kl = change("kl.per_answer", after=1.0, verdict="info")
    page = runs_page(entry("a"), entry("b", kl=4.0), entry("c", problem="torn."), entry("d", changes=(refused, kl)))
    text = render_runs(page)
    assert re.findall(r'id="(kl\d+-run\d+-point)"', text) == ["kl0-run1-point", "kl0-run2-point"]  # d has no d′
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_without_a_run_the_page_says_what_to_do():
    text = render_runs(runs_page())
    assert "ppo train my-exp/experiment.yaml" in text
    assert "<table" not in text


def test_means_by_update_are_those_of_its_rollouts():
    rows = by_update([episode(1, 1, 1.0), episode(1, 2, -2.0), episode(2, 3, 0.5)], ["brief"])
    assert rows == [
        {
            "update": 1,
            "count": 2,
            "reward": "−0.50",
            "range": "−2.00 to 1.00",
            "terms": ["0.50"],
            "kl": "0.75",
            "tokens": "3.0",
            "ended": "50 %",
        },
        {
            "update": 2,
            "count": 1,
            "reward": "0.50",
            "range": "0.50 to 0.50",
            "terms": ["1.50"],
            "kl": "1.50",
            "tokens": "6.0",
            "ended": "100 %",
        },
    ]


def test_the_highest_and_the_lowest_reward_are_read_without_a_script():
    episodes = [episode(1, number, float(reward)) for number, reward in enumerate((3, -1, 0, 9, 4, 7, -8, 1), start=1)]
    text = render_rollouts(rollouts_page(episodes=episodes))
    assert re.findall(r"reward <strong>(.*?)</strong>", text) == [
        *("9.00", "7.00", "4.00", "3.00", "1.00"),
        *("−8.00", "−1.00", "0.00"),
    ]


def test_every_update_leads_to_its_rollouts():
    text = render_rollouts(rollouts_page(updates=3))
    assert re.findall(r'<a href="#update=(\d+)">(\d+)</a>', text) == [(one, one) for one in ("1", "2", "3")]


def test_a_text_that_occurs_often_is_on_the_page_once():
    page = rollouts_page(per_update=100)
    data = browser_data(page, ["ends_turn", "matches_expect"])
    assert len(data["texts"]) == len(set(data["texts"]))
    for row, made in zip(data["rows"], page.episodes, strict=True):
        assert [data["texts"][row[place]] for place in (2, 5, 6, 7)] == [
            *(made.prompt_id, made.prompt, made.answer.text, made.baseline_answer)
        ]
        assert row[13] == pytest.approx(list(made.terms.values()), rel=1e-5)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_run_says_makes_no_element(text):
    def runs_of(name, problem):
        told = replace(entry(name, reason=name, config={"goal": name}), comparison=None, report_problem=problem)
        return render_runs(runs_page(told, entry("b", problem=problem)))

    tame_runs, runs = runs_of("a", "p"), runs_of(text, text)
    rollouts = render_rollouts(rollouts_page(text=text, entry=entry(text, parent=text, reason=text)))
    plain = render_rollouts(rollouts_page(text="plain", entry=entry("a", parent="b", reason="c")))
    for hostile, tame in ((runs, tame_runs), (rollouts, plain)):
        parsed = Elements(hostile.encode().decode())
        tags = [tag for tag, _ in parsed.elements]
        assert tags.count("script") == 2
        assert set(tags) <= {tag for tag, _ in Elements(tame).elements} | {"em", "span"}
        policy = next(attrs["content"] for _, attrs in parsed.elements if attrs.get("http-equiv"))
        digest = base64.b64encode(hashlib.sha256(parsed.scripts[1].encode()).digest()).decode()
        assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}';")
        assert not any(name.startswith("on") for _, attrs in parsed.elements for name in attrs)
    assert text in json.loads(parsed.scripts[0])["texts"]
