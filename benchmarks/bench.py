"""Side by side: TRL's PPO loop as its example sets it up (a), with our modules (b), and our loop (c).

    python benchmarks/bench.py [--quick] [--arms a,b,c] [--growth] [--checkpoints]

Each arm is a process of its own, so that its peak memory is its own; all run in turn on the same prompts, with the
same number of episodes, answer length, minibatches and PPO epochs as configs/refusal.yaml. Writes
benchmarks/latest.json and prints a table for RESULTS.md.

(a) follows TRL's examples/scripts/ppo/ppo.py: policy, reference, value and reward model as four models, float32,
trained in full. (b) gives TRL's loop our policy with adapters, critic head and reward function.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONFIG = HERE.parent / "configs" / "refusal.yaml"
LATEST = HERE / "latest.json"
SCRATCH = Path(tempfile.gettempdir()) / "ppo-bench"
"""TRL wants a folder; nothing is written there."""
MATMUL_SIDE = 2048
COUNTED = 16
"""Episodes of the further update in which operations are counted, since counting takes time of its own."""
SETTLED = 1
"""Updates before the one that `--growth` times."""
GROWTH = {
    "ppo.episodes_per_update": (16, 64, 256),
    "rollout.max_new_tokens": (16, 64, 256),
}
"""What grows, one at a time, in `--growth`."""


def main() -> None:
    options = arguments()
    if options.arm:
        look = count if options.count else settled if options.settled else measure
        print(json.dumps(look(options.arm, options.updates, options.overrides)))
        return
    if options.growth:
        growth(options)
        return
    if options.checkpoints:
        print(checkpoints(options.overrides))
        return
    arms = options.arms.split(",")
    results: dict[str, Any] = {}
    for arm in arms:
        updates = 1 if options.quick or arm != "c" else 3
        print(f"arm {arm}: {updates} update{'s' if updates > 1 else ''} …", file=sys.stderr, flush=True)
        results[arm] = in_a_process(arm, updates, options.overrides)
        counted = in_a_process(arm, 1, [*options.overrides, f"ppo.episodes_per_update={COUNTED}"], "--count")
        results[arm]["gflops"] = results[arm]["episodes_per_s"] * counted["flop_an_episode"] / 1e9
    results["matmul_gflops"] = matmul_gflops()
    results["machine"] = machine()
    LATEST.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results, arms))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one update an arm, fewer episodes")
    parser.add_argument("--arms", default="a,b,c")
    parser.add_argument("--growth", action="store_true", help="our loop at growing sizes")
    parser.add_argument("--checkpoints", action="store_true", help="the share of time that checkpoints take")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--settled", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--updates", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="KEY=VALUE, as for ppo train")
    options = parser.parse_args()
    if options.quick and not options.arm:
        options.overrides = ["ppo.episodes_per_update=32", *options.overrides]
    return options


def in_a_process(arm: str, updates: int, overrides: list[str], *flags: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--arm", arm, "--updates", str(updates), *flags, *overrides]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# --- one arm -----------------------------------------------------------------------------------------


def measure(arm: str, updates: int, overrides: list[str]) -> dict[str, Any]:
    """Runs one warm-up-free arm and reports episodes and answer tokens a second, memory, and phases."""
    resolved = set_up(updates, overrides)
    seconds, tokens, phases = ARMS[arm](resolved)
    experiment = resolved.experiment
    episodes = updates * experiment.ppo.episodes_per_update
    return {
        "episodes_per_s": episodes / seconds,
        "tokens_per_s": tokens / seconds,
        "all_tokens_per_s": (tokens + prompt_tokens(resolved)) / seconds,
        "peak_memory_mb": peak_memory(),
        "seconds_per_update": seconds / updates,
        "phases": {name: spent / seconds for name, spent in phases.items()},
    }


def settled(arm: str, updates: int, overrides: list[str]) -> dict[str, Any]:
    """The same for the last update of our loop alone: in the first, libraries still set themselves up."""
    if arm != "c":
        raise SystemExit("only our loop tells its updates apart")
    resolved = set_up(updates, overrides)
    trainer, _ = our_trainer(resolved)
    took: list[tuple[float, int]] = []
    trainer.train(
        lambda _row, episodes, seconds: took.append((seconds, sum(item.tokens for item in episodes))),
        lambda _update: True,
    )
    seconds, tokens = took[-1]
    return {
        "tokens_per_s": tokens / seconds,
        "all_tokens_per_s": (tokens + prompt_tokens(resolved, first=updates)) / seconds,
        "peak_memory_mb": peak_memory(),
        "seconds_per_update": seconds,
    }


def count(arm: str, updates: int, overrides: list[str]) -> dict[str, Any]:
    """Runs one arm and counts the floating-point operations of its matrix products and attention."""
    from torch.utils.flop_counter import FlopCounterMode

    resolved = set_up(updates, overrides)
    with FlopCounterMode(display=False) as counter:
        ARMS[arm](resolved)
    return {"flop_an_episode": counter.get_total_flops() / (updates * resolved.experiment.ppo.episodes_per_update)}


def set_up(updates: int, overrides: list[str]) -> Any:
    """The experiment of every arm: configs/refusal.yaml without what only ours has."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    warnings.simplefilter("ignore")
    from ppo_cli.experiment.load import load_experiment
    from ppo_cli.records.events import ignore_events
    from ppo_cli.setup.resolve import read_inputs, resolve_experiment

    fixed = ["model.warm_start=null", "reward.baseline=none", "ppo.warmup_updates=0", f"ppo.updates={updates}"]
    return resolve_experiment(read_inputs(load_experiment(CONFIG, [*fixed, *overrides]).experiment), ignore_events)


def peak_memory() -> float:
    """Of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def prompt_tokens(resolved: Any, first: int = 1) -> int:
    """Tokens of the prompts that an arm answers, from one update on."""
    from ppo_cli.engine.rollouts import PromptOrder

    ppo, prompts = resolved.experiment.ppo, resolved.inputs.train
    order = PromptOrder(len(prompts), resolved.experiment.seed)
    used = (index for update in range(first, ppo.updates + 1) for index in order.batch(update, ppo.episodes_per_update))
    return sum(len(resolved.tokens.render(prompts[index].text)) for index in used)


Measured = tuple[float, int, dict[str, float]]
"""Seconds, answer tokens, seconds by phase."""


def our_trainer(resolved: Any) -> tuple[Any, Path]:
    """Our loop on the start model, and the folder of that model."""
    from ppo_cli.engine.policy import Policy
    from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs
    from ppo_cli.records.events import ignore_events
    from ppo_cli.setup.start_model import load_start_model

    experiment = resolved.experiment
    start = load_start_model(resolved, ignore_events)
    policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
    materials = TrainerInputs(
        policy=policy,
        tokens=resolved.tokens,
        prompts=resolved.inputs.train,
        others={},
        reward=resolved.inputs.reward,
        device=start.device,
    )
    return PolicyTrainer(experiment, materials, SCRATCH, ignore_events), start.folder


def run_ours(resolved: Any) -> Measured:
    trainer, _ = our_trainer(resolved)
    phases: dict[str, float] = {}
    for phase, method in {"sampling": "roll_out", "log-probabilities": "estimate", "learning": "optimise"}.items():
        setattr(trainer, method, timed(getattr(trainer, method), phase, phases))
    lengths: list[int] = []
    began = time.perf_counter()
    trainer.train(
        lambda _row, episodes, _seconds: lengths.extend(item.tokens for item in episodes), lambda _update: True
    )
    return time.perf_counter() - began, sum(lengths), phases


def run_with_our_modules(resolved: Any) -> Measured:
    import torch
    from datasets import Dataset
    from trl.experimental.ppo import PPOTrainer

    from ppo_cli.engine.critic import CriticModule
    from ppo_cli.engine.policy import Policy
    from ppo_cli.engine.trl_config import to_trl_config
    from ppo_cli.engine.trl_reward_adapter import RewardModule
    from ppo_cli.records.events import ignore_events
    from ppo_cli.setup.start_model import load_start_model

    experiment, tokens = resolved.experiment, resolved.tokens
    start = load_start_model(resolved, ignore_events)
    policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
    rendered = {tuple(tokens.render(prompt.text)): prompt for prompt in resolved.inputs.train}
    trainer = PPOTrainer(
        args=to_trl_config(experiment, SCRATCH, torch.device("cpu")),
        processing_class=tokens.tokenizer,
        model=policy.trainable,
        ref_model=None,
        reward_model=RewardModule(resolved.inputs.reward, tokens, rendered, {}, max(map(len, rendered))),
        train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in rendered]}),
        value_model=CriticModule(policy, seed=experiment.seed),
    )
    trainer.dataloader = left_padded(rendered, experiment, tokens)
    return run_trl(trainer, tokens)


def run_example(resolved: Any) -> Measured:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GenerationConfig
    from trl.experimental.ppo import PPOTrainer

    from ppo_cli.engine.trl_config import to_trl_config
    from ppo_cli.models.loading import quiet_transformers

    experiment, tokens, folder = resolved.experiment, resolved.tokens, resolved.source.folder
    with quiet_transformers():
        policy, reference = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for _ in range(2))
        reward, value = (
            AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
            for _ in range(2)
        )
    policy.generation_config = GenerationConfig(eos_token_id=list(tokens.stop_ids), pad_token_id=tokens.pad_id)
    rendered = {tuple(tokens.render(prompt.text)): prompt for prompt in resolved.inputs.train}
    args = to_trl_config(experiment, SCRATCH, torch.device("cpu"))
    trainer = PPOTrainer(
        args=args,
        processing_class=tokens.tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward,
        train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in rendered]}),
        value_model=value,
    )
    trainer.dataloader = left_padded(rendered, experiment, tokens)
    return run_trl(trainer, tokens)


def run_trl(trainer: Any, tokens: Any) -> Measured:
    """TRL's loop with its rollouts counted and timed."""
    from trl.experimental.ppo import ppo_trainer

    phases: dict[str, float] = {}
    generate = timed(ppo_trainer.batch_generation, "sampling", phases)
    answered = 0

    def counted(model: Any, queries: Any, *others: Any) -> Any:
        nonlocal answered
        whole, scores = generate(model, queries, *others)
        for row in whole[:, queries.shape[1] :].tolist():
            ends = [place for place, token in enumerate(row) if token in tokens.stop_ids]
            answered += ends[0] + 1 if ends else len(row)
        return whole, scores

    ppo_trainer.batch_generation = counted
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    return seconds, answered, {**phases, "the rest": seconds - sum(phases.values())}


def left_padded(rendered: Any, experiment: Any, tokens: Any) -> Any:
    """The prompts of each update, in our order, as TRL's loader would give them."""
    import torch

    from ppo_cli.engine.rollouts import PromptOrder

    prompts = list(rendered)
    width = max(map(len, prompts))
    order = PromptOrder(len(prompts), experiment.seed)
    batches = []
    for update in range(1, experiment.ppo.updates + 1):
        chosen = [prompts[index] for index in order.batch(update, experiment.ppo.episodes_per_update)]
        rows = [[tokens.pad_id] * (width - len(ids)) + list(ids) for ids in chosen]
        batches.append({"input_ids": torch.tensor(rows)})
    return batches


def timed(function: Callable[..., Any], phase: str, phases: dict[str, float]) -> Callable[..., Any]:
    def wrapper(*words: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*words, **named)
        finally:
            phases[phase] = phases.get(phase, 0.0) + time.perf_counter() - began

    return wrapper


ARMS: dict[str, Callable[[Any], Measured]] = {"a": run_example, "b": run_with_our_modules, "c": run_ours}


# --- around the arms ---------------------------------------------------------------------------------


def growth(options: argparse.Namespace) -> None:
    """Our loop at growing sizes: time a token must stay about constant, memory must not follow the vocabulary."""
    print("| what | value | seconds an update | ms an answer token | ms a token, prompts too | peak memory, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for key, values in GROWTH.items():
        for value in values:
            overrides = [f"{key}={value}", "ppo.minibatches=4", *options.overrides]
            found = in_a_process("c", SETTLED + 1, overrides, "--settled")
            print(
                f"| {key} | {value} | {found['seconds_per_update']:.1f} | {1000 / found['tokens_per_s']:.1f} | "
                f"{1000 / found['all_tokens_per_s']:.2f} | {found['peak_memory_mb']:.0f} |",
                flush=True,
            )


def checkpoints(overrides: list[str]) -> str:
    """One run with a checkpoint after each update, and the share of time they would take as often as the config says.

    Nothing but updates and checkpoints is counted. A real run evaluates too, so its share is smaller.
    """
    warnings.simplefilter("ignore")
    from ppo_cli.engine.checkpoints import prune_checkpoints, save_checkpoint
    from ppo_cli.experiment.load import load_experiment
    from ppo_cli.records.events import ignore_events
    from ppo_cli.setup.resolve import read_inputs, resolve_experiment
    from ppo_cli.store.layout import RunLayout

    experiment = load_experiment(CONFIG, ["reward.baseline=none", "ppo.updates=5", *overrides]).experiment
    trainer, start = our_trainer(resolve_experiment(read_inputs(experiment), ignore_events))
    updates: list[float] = []
    saves: list[float] = []
    with tempfile.TemporaryDirectory(dir=HERE.parent / "runs", prefix=".bench-") as folder:
        layout = RunLayout(Path(folder))
        layout.checkpoints.mkdir()

        def save(_update: int) -> bool:
            began = time.perf_counter()
            written = save_checkpoint(trainer, layout, start)
            prune_checkpoints(layout, keep=experiment.checkpoints.keep, best=1)
            saves.append(time.perf_counter() - began)
            sizes.append(sum(file.stat().st_size for file in written.rglob("*")))
            return True

        sizes: list[int] = []
        trainer.train(lambda _row, _episodes, seconds: updates.append(seconds), save)
    update, saving = sum(updates) / len(updates), sum(saves) / len(saves)
    shares = {every: saving / (every * update + saving) for every in (1, experiment.checkpoints.every)}
    return (
        f"an update {update:.1f} s, a checkpoint {saving:.2f} s ({min(saves):.2f} to {max(saves):.2f}), "
        f"{sizes[-1] / 1e6:.0f} MB; share of the time "
        + ", ".join(f"{share:.1%} at checkpoints.every={every}" for every, share in shares.items())
        + f"\n{json.dumps(machine())}"
    )


def matmul_gflops() -> float:
    """What this machine reaches in one large matrix product in the type that training uses."""
    import torch

    from ppo_cli.models.loading import choose_device, choose_dtype

    device = choose_device("auto")
    left, right = (torch.randn(MATMUL_SIDE, MATMUL_SIDE, device=device).to(choose_dtype("auto", device)) for _ in "ab")
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        float((left @ right)[0, 0])
        best = min(best, time.perf_counter() - began)
    return 2 * MATMUL_SIDE**3 / best / 1e9


def machine() -> dict[str, Any]:
    import torch

    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def table(results: dict[str, Any], arms: list[str]) -> str:
    lines = [
        "| arm | episodes/s | answer tokens/s | seconds an update | peak memory, MB | GFLOP/s | phases |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm in arms:
        found = results[arm]
        phases = ", ".join(f"{name} {share:.0%}" for name, share in found["phases"].items())
        lines.append(
            f"| {arm} | {found['episodes_per_s']:.2f} | {found['tokens_per_s']:.1f} | "
            f"{found['seconds_per_update']:.1f} | {found['peak_memory_mb']:.0f} | {found['gflops']:.0f} | {phases} |"
        )
    for other in ("a", "b"):
        if {"c", other} <= set(arms):
            speed = results["c"]["episodes_per_s"] / results[other]["episodes_per_s"]
            memory = results["c"]["peak_memory_mb"] / results[other]["peak_memory_mb"]
            lines.append(f"\nc/{other}: {speed:.1f} times as fast, {memory:.2f} times the memory")
    lines.append(f"\nmatrix product: {results['matmul_gflops']:.0f} GFLOP/s; {json.dumps(results['machine'])}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
