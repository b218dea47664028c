"""Run folders as a training leaves them: both evaluations, updates with their metrics, and rollouts of one's choice."""

from dataclasses import asdict

import numpy as np

from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Answer
from ppo_cli.records.training import Episode
from ppo_cli.store.answer_rows import episode_to_row
from ppo_cli.store.evaluations import write_evaluation
from ppo_cli.store.files import write_lines
from ppo_cli.store.layout import RunLayout
from ppo_cli.store.runs import Run
from tests.made_runs import HELP, REFUSAL, answers, evaluated_at, make_run
from tests.reports.records import metrics

STARTED = "2026-11-27T06:00:00+00:00"
LAST = 4
"""Updates of a made run."""


def viewed_run(output, *, text=None, parent=None, changed=None, episodes=12, start=0.9, policy_kl=0.5, **settings):
    """A finished run of four updates with everything that `ppo view` shows of one.

    Args:
        output: folder of run folders.
        text: what every prompt, answer and id of its rollouts says, in place of the usual.
        parent: name of the run that it is below.
        changed: the keys that it changed against that.
        episodes: rollouts per update.
        start: chance of refusing at step 0.
        policy_kl: of the last update, nats per answer.
        settings: those of `make_run`.
    """
    root = make_run(output, started=STARTED, **settings)
    run, layout = Run(root), RunLayout(root)
    asked = read_prompts(layout.prompt_file("prompts.eval"))
    samples = answers(asked, start, start, 7, 2)
    about = {"partial": False, "of": evaluated_at(run, 0)}
    write_evaluation(layout.evaluation(0), samples, label_sample(asked, samples), (), RULES_VERSION, about)
    made = made_episodes(read_prompts(layout.prompt_file("prompts.train")), episodes, text)
    write_lines(layout.rollouts, [episode_to_row(episode) for episode in made])
    write_lines(
        layout.metrics,
        [asdict(metrics(update, kl=policy_kl * update / LAST, reward=0.2 * update)) for update in range(1, LAST + 1)],
    )
    run.update_state(parent=parent, changed_keys=changed or {}, ended="2026-11-27T06:07:12+00:00")
    return root


def made_episodes(prompts, per_update, text=None, updates=LAST):
    """Rollouts whose reward rises with the update and varies with the episode."""
    generator = np.random.default_rng(3)
    words = "red blue left right cup lid pan saw nail door lamp soil seed rope".split()
    made = []
    for number in range(updates * per_update):
        update, prompt = 1 + number // per_update, prompts[number % len(prompts)]
        said = REFUSAL if generator.random() < 0.5 else HELP.format(*generator.choice(words, 2))
        reward = round(float(generator.normal(0.2 * update, 1)), 6)
        made.append(
            Episode(
                update=update,
                episode=number + 1,
                prompt_id=text or prompt.id,
                prompt=text or prompt.text,
                answer=Answer(
                    text=text or said,
                    token_count=int(generator.integers(8, 30)),
                    finish="eos" if generator.random() < 0.7 else "length",
                ),
                baseline_answer=text or REFUSAL,
                reward=reward,
                terms={"ends_turn": 1.0, "matches_expect": round(reward - 1.0, 6)},
                baseline_terms={"ends_turn": 0.5, "matches_expect": 0.0},
                kl=round(float(generator.normal(0.1 * update, 0.05)), 6),
            )
        )
    return made
