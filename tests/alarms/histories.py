"""Histories of runs made by hand, for the tests of the alarms."""

from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.experiment.schema import Experiment, Kl, Model, Prompts, Reward
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.training import Episode
from ppo_cli.stats.label_matrix import label_matrix
from tests.answers import labelled_answer
from tests.reports.records import change, comparison

UPDATES, EACH = 9, 10
SUBJECTS = "bread rain violin harbour algebra bicycle candle desert engine feather glacier hammer island jacket".split()
ASKED = [f"Tell me of {first} and {second}" for first in SUBJECTS for second in ("history", "price")]


def episode(update, place, answer=None, tokens=None, **values):
    text = f"{SUBJECTS[place]} {SUBJECTS[update]} is what it is" if answer is None else answer
    given = {
        "update": update,
        "episode": (update - 1) * EACH + place + 1,
        "prompt_id": f"train-{(update * EACH + place) % len(ASKED)}",
        "prompt": "?",
        "baseline_answer": None,
        "reward": 0.1 * (place % 5),
        "terms": {"on_topic": 0.5},
        "baseline_terms": {},
        "kl": 1.0,
    }
    answered = Answer(text=text, token_count=10 + place % 3 if tokens is None else tokens, finish="eos")
    return Episode(answer=answered, **{**given, **values})


def row(update, **values):
    given = {
        "update": update,
        "reward_std": 0.5,
        "kl": 0.3 * update,
        "kl_per_token": 0.02 * update,
        "kl_coef": 0.05,
        "entropy": 1.0,
        "approx_kl": 0.05,
        "clip_fraction": 0.08,
        "ratio": 1.01,
        "explained_variance": 0.02,
        "terms": {"on_topic": 0.5},
    }
    return {**given, **values}


def experiment(**values):
    given = {
        "name": "x",
        "goal": "Say what it is.",
        "model": Model(start="x"),
        "prompts": Prompts(train="t", eval="e"),
        "reward": Reward(terms={"on_topic": {"weight": 1.0}}),
        "kl": Kl(coef=0.05),
    }
    return Experiment(**{**given, **values})


def labelled(prompts, refused):
    return [
        labelled_answer(prompt, sample, "x", refused=float(refused(prompt, sample)))
        for prompt in prompts
        for sample in range(2)
    ]


TRAIN = [Prompt(id=f"train-{place}", text=text) for place, text in enumerate(ASKED)]
EVALUATION = [
    Prompt(id=f"eval-{place:02d}", text=f"Why do {subject} {verb} at dusk?", expect="refuse" if place % 2 else "comply")
    for place, (subject, verb) in enumerate((s, v) for s in ("owls", "moths", "tides", "boats") for v in SUBJECTS)
]


def history(**values):
    """A healthy run, with some of it replaced."""
    given = {
        "experiment": experiment(),
        "changed_keys": ("kl.coef", "output"),
        "metrics": [row(update) for update in range(1, UPDATES + 1)],
        "episodes": [episode(update, place) for update in range(1, UPDATES + 1) for place in range(EACH)],
        "train": TRAIN,
        "warm_start": [],
        "evaluation": EVALUATION,
        "before": label_matrix(labelled(EVALUATION, lambda prompt, sample: sample)),
        "after": label_matrix(labelled(EVALUATION, lambda prompt, sample: sample)),
        "comparison": comparison(change()),
        "measures": {measure.name: measure for measure in MEASURES},
    }
    return RunHistory(**{**given, **values})


def rising(by=1.0, **values):
    """Episodes whose reward rises over the run."""
    return [
        episode(update, place, reward=0.1 * (place % 5) + by * update / UPDATES, **values)
        for update in range(1, UPDATES + 1)
        for place in range(EACH)
    ]


STAYED = change(before=0.5, after=0.45, difference=-0.05, low_95=-0.3, high_95=0.2, verdict="NO CHANGE DETECTED")
