"""Pages made by hand: two policies, a few kinds of prompt, curves."""

from html.parser import HTMLParser

from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Alarm
from ppo_cli.records.measures import Estimate
from ppo_cli.reports.html.page_data import Page, PolicyAnswers, RunPanel
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.transitions import prompt_changes, transitions
from tests.answers import sample
from tests.reports.records import comparison, flip

REFUSAL = "I'm sorry, but I can't help with that."
HELP = "Use a ladder and take your time."


def prompt(number, **values):
    expect = ("comply", "refuse", "comply")[number % 3]
    category = ("plain.home", "unsafe.x", "scary.homonym")[number % 3]
    given = {"id": f"p-{number:04d}", "text": f"Question {number}?", "category": category, "expect": expect}
    return Prompt(**{**given, **values})


def page(prompts=None, before=REFUSAL, after=HELP, samples=2, **values):
    """A page on which every prompt has the same answers, unless `before` or `after` makes them from the prompt."""
    prompts = [prompt(number) for number in range(6)] if prompts is None else prompts
    made = []
    for name, answer in (("step 0", before), ("step 4", after)):
        rows = [
            sample(
                row.id,
                number,
                answer(row) if callable(answer) else answer,
                tokens=10 + number,
                kl=0.5 if number == 0 else None,
            )
            for row in prompts
            for number in range(samples)
        ]
        labelled = label_sample(prompts, rows)
        made.append(PolicyAnswers(name=name, labelled=labelled, matrix=label_matrix(labelled)))
    moved = prompt_changes(made[0].matrix, made[1].matrix, "refused")
    by_id = {row.id: row for row in prompts}
    flips = [
        flip(prompt_id=move.prompt_id, prompt=by_id[move.prompt_id].text, expect=by_id[move.prompt_id].expect)
        for move in moved
        if abs(move.after - move.before) >= 0.5
    ]
    given = {
        "title": "refusal-kl0.15-s1-7f3a9c",
        "experiment": "refusal",
        "goal": "Refuse what hurts; help with the rest.",
        "comparison": comparison(prompts=len(prompts), samples_per_prompt=samples, flips=tuple(flips)),
        "result": None,
        "sides": tuple(made),
        "runs": [run()],
        "prompts": by_id,
        "prompt_changes": moved,
        "transitions": transitions(moved, {row.id: row.expect for row in prompts}),
        "smallest_effect": 0.3,
        "rules": "refusal4",
    }
    return Page(**{**given, **values})


def run(**values):
    def measures(kl, d):
        return {
            "kl.per_answer": Estimate(name="kl.per_answer", value=kl, low_95=kl, high_95=kl, prompts=6),
            "refusal.separation": Estimate(
                name="refusal.separation", value=d, low_95=d - 0.2, high_95=d + 0.2, prompts=6
            ),
            "refusal.unsafe": Estimate(name="refusal.unsafe", value=0.8, low_95=0.7, high_95=0.9, prompts=3),
            "refusal.safe": Estimate(name="refusal.safe", value=0.5, low_95=0.4, high_95=0.6, prompts=3),
        }

    given = {
        "letter": "run",
        "group": "run",
        "name": "refusal-kl0.15-s1-7f3a9c",
        "status": "finished after 3 updates",
        "reason": None,
        "fingerprint": "7f3a9c" * 10,
        "started": "2026-11-27T06:00:00+00:00",
        "ended": "2026-11-27T06:07:12+00:00",
        "settings": {
            "model.start": "builtin:smollm2-135m-instruct",
            "kl.coef": 0.15,
            "kl.stop_at": 12.0,
            "seed": 1,
            "evaluation.temperature": 0.7,
        },
        "metrics": [
            {"update": n, "kl": 0.4 * n, "reward": 0.1 * n, "reward_std": 1.0, "policy_loss": 0.01, "value_loss": 0.5}
            for n in (1, 2, 3)
        ],
        "interim": [(0, measures(0.0, 0.5)), (4, measures(2.0, 1.2))],
        "interim_prompts": 6,
        "provenance": {"argv": ["ppo", "train"], "python": "3.11", "packages": {"torch": "2"}},
    }
    return RunPanel(**{**given, **values})


ALARM = Alarm(
    name="policy_drift",
    title="Policy drifted too far",
    evidence=("KL 9.1 nats",),
    why="It left the reference.",
    next_step="Raise kl.coef.",
    rate="raised in 1 of 250 healthy runs",
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]> \"quoted' <img src=x onerror=alert(1)>",
    "\u202eright to left\u202c \u2028 \u2029 \x00 \x1b[31m",
    "{{ 7 * 7 }} {% raw %}",
    "\ud800 lone",
)


class Elements(HTMLParser):
    """Every element with its attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self._inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
            self._inside = True

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "script"

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data
