"""Pages of `ppo view` made by hand: a few runs, and rollouts of one of them."""

from urllib.parse import quote

from ppo_cli.records.answers import Prompt
from ppo_cli.records.results import RunRow
from ppo_cli.records.training import RunState
from ppo_cli.reports.html.view_data import RolloutsPage, RunEntry, RunsPage
from tests.reports.records import KL, SAFE, SEPARATION, change, comparison
from tests.viewed_runs import made_episodes

PROMPTS = [
    Prompt(id=f"p-{number}", text=f"Question {number}?", category=("plain", "unsafe")[number % 2], expect=expect)
    for number, expect in enumerate(("comply", "refuse", "comply", "refuse"))
]


def entry(name="refusal-kl0.1-s1-aaaaaa", *, config=None, problem=None, kl=2.0, changes=None, **state):
    given = {"status": "finished", "started": "2026-11-27T06:00:00+00:00", "updates_done": 4, **state}
    row = RunRow(
        state=RunState(id=name, **given),
        updates=4,
        primary="refusal.separation",
        measures={},
        step=4,
        config={"goal": "Refuse what hurts.", "kl.coef": 0.1, "reward.terms.ends_turn.weight": 1.0, **(config or {})},
        problem=problem,
    )
    measured = comparison(*(changes or (SEPARATION, SAFE, KL, change("kl.per_answer", after=kl, verdict="info"))))
    page = None if problem else f"{quote(name, safe='', errors='replace')}.html"
    return RunEntry(row=row, comparison=None if problem else measured, step=4, page=page)


def runs_page(*entries):
    return RunsPage(folder="runs", entries=entries, differing=["kl.coef"])


def rollouts_page(per_update=12, text=None, updates=4, **values):
    given = {
        "entry": entry(),
        "episodes": made_episodes(PROMPTS, per_update, text, updates),
        "prompts": {prompt.id: prompt for prompt in PROMPTS},
        "records": "../refusal/rollouts.jsonl",
    }
    return RolloutsPage(**{**given, **values})
