"""A training of some seconds with the trainer of this program, on the tiny model of `ppo verify-engine`.

Not here: whether the trainer computes PPO (`conformance`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ppo_cli.records.doctor import DoctorCheck
from ppo_cli.records.events import EventHandler, Phase, Progress

EPISODES = 32
"""Answers per update."""
ENOUGH_UPDATES = 20
"""After which the reward of this toy has risen, the last quarter against the first."""
SEED = 1


def toy_training(seconds: float, on_event: EventHandler) -> list[DoctorCheck]:
    """Trains for so many seconds, at least one update; whatever it raises is what a real training would meet."""
    from ppo_cli.conformance.adapter import Settings, Task, Tokens
    from ppo_cli.conformance.own_engine import OwnEngine
    from ppo_cli.conformance.tiny_models import PROMPTS, write_model
    from ppo_cli.conformance.trainings import even_letters
    from ppo_cli.models.device import choose_device

    on_event(Phase(name="training a toy model", total=max(1, round(seconds)), unit="s"))
    rewards: list[float] = []

    def reward(prompts: Sequence[Tokens], answers: Sequence[Tokens]) -> list[float]:
        scores = even_letters(prompts, answers)
        rewards.append(sum(scores) / len(scores))
        return scores

    device = choose_device("auto")
    with tempfile.TemporaryDirectory(prefix="ppo-doctor-", ignore_cleanup_errors=True) as folder:
        work = Path(folder) / "run"
        work.mkdir()
        task = Task(
            model=write_model(Path(folder) / "model"),
            prompts=PROMPTS,
            reward=reward,
            settings=Settings(seed=SEED, episodes=EPISODES, epochs=2, minibatches=2),
            folder=work,
        )
        training = OwnEngine(device=device).training(task)
        started, updates, spent = time.perf_counter(), 0, 0.0
        while updates == 0 or spent < seconds:
            updates += 1
            training.train(updates, lambda _record: None)
            spent = time.perf_counter() - started
            on_event(Progress(done=min(round(spent), max(1, round(seconds)))))
    quarter = max(1, updates // 4)
    first, last = (sum(part) / quarter for part in (rewards[:quarter], rewards[-quarter:]))
    saw = (
        f"{updates} update{'' if updates == 1 else 's'} in {spent:.1f} s on {device.type}: "
        f"{updates * EPISODES / spent:.3g} answers per second, reward {first:.2f} → {last:.2f}"
    )
    if updates >= ENOUGH_UPDATES and last <= first:
        step = "Run `ppo verify-engine`, which says what the trainer computes wrongly on this machine."
        return [DoctorCheck(name="toy training", status="warn", saw=f"{saw}, which did not rise", next_step=step)]
    return [DoctorCheck(name="toy training", status="ok", saw=saw)]
