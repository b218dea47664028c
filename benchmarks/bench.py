"""Side by side: TRL's PPO loop as its example sets it up (a), with our modules (b), and our loop (c).

    python benchmarks/bench.py [--quick] [--loops a,b,c] [--growth] [--checkpoints]

Each loop is a process of its own, so that its peak memory is its own. They run one after another on the same prompts,
with the number of episodes, answer length, minibatches and PPO epochs of configs/refusal.yaml, and on the same device:
CUDA where there is one, else the CPU. The peak memory is that of the device. Writes benchmarks/latest.json and prints a
table for RESULTS.md.

(a) follows TRL's examples/scripts/ppo/ppo.py: policy, reference, value and reward model as four models, float32,
trained in full. (b) gives TRL's loop our policy with adapters, critic head and reward function.

Not here: the loops (`training_loops`).
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from training_loops import CONFIG, LOOPS, our_trainer, prompt_tokens, set_up

HERE = Path(__file__).parent
LATEST = HERE / "latest.json"
MATMUL_SIDES = {"cpu": 2048, "cuda": 8192}
COUNTED_EPISODES = 16
"""Of the further update in which operations are counted, since counting takes time of its own."""
WARM_UP_UPDATES = 1
"""Before the one that `--growth` times."""
GROWTH = {
    "ppo.episodes_per_update": (16, 64, 256),
    "rollout.max_new_tokens": (16, 64, 256),
}
"""What grows, one key at a time, in `--growth`."""


def main() -> None:
    options = arguments()
    if options.loop:
        if options.loop == "c":
            from ppo_cli.models.free_memory import limit_kernel_caches

            limit_kernel_caches()  # as `ppo train` does
        run = count_operations if options.count else measure_last_update if options.last_update else measure
        print(json.dumps(run(options.loop, options.updates, options.overrides)))
        return
    if options.growth:
        growth(options)
        return
    if options.checkpoints:
        print(checkpoints(options.overrides))
        return
    loops = options.loops.split(",")
    results: dict[str, Any] = {}
    for loop in loops:
        updates = 1 if options.quick or loop != "c" else 3
        print(f"loop {loop}: {updates} update{'s' if updates > 1 else ''} …", file=sys.stderr, flush=True)
        results[loop] = in_a_process(loop, updates, options.overrides)
        counted = in_a_process(loop, 1, [*options.overrides, f"ppo.episodes_per_update={COUNTED_EPISODES}"], "--count")
        results[loop]["gflops"] = results[loop]["episodes_per_s"] * counted["flop_per_episode"] / 1e9
    results["matmul_gflops"] = matmul_gflops()
    results["machine"] = machine()
    LATEST.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results, loops))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one update per loop, fewer episodes")
    parser.add_argument("--loops", default="a,b,c")
    parser.add_argument("--growth", action="store_true", help="our loop at growing sizes")
    parser.add_argument("--checkpoints", action="store_true", help="the share of time that checkpoints take")
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    parser.add_argument("--last-update", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--updates", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="KEY=VALUE, as for ppo train")
    options = parser.parse_args()
    if options.quick and not options.loop:
        options.overrides = ["ppo.episodes_per_update=32", *options.overrides]
    return options


def in_a_process(loop: str, updates: int, overrides: list[str], *flags: str) -> dict[str, Any]:
    """Runs this program again for one loop, and returns what it prints."""
    command = [sys.executable, __file__, "--loop", loop, "--updates", str(updates), *flags, *overrides]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


# --- in the process of one loop -----------------------------------------------------------------------


def measure(loop: str, updates: int, overrides: list[str]) -> dict[str, Any]:
    """Runs one loop; returns episodes and answer tokens per second, memory, and the share of each phase."""
    resolved = set_up(updates, overrides)
    seconds, tokens, phases = LOOPS[loop](resolved)
    episodes = updates * resolved.experiment.ppo.episodes_per_update
    return {
        "episodes_per_s": episodes / seconds,
        "tokens_per_s": tokens / seconds,
        "all_tokens_per_s": (tokens + prompt_tokens(resolved)) / seconds,
        "peak_memory_mb": peak_memory_mb(resolved),
        "device": device_of(resolved),
        "seconds_per_update": seconds / updates,
        "phases": {name: phase_seconds / seconds for name, phase_seconds in phases.items()},
    }


def measure_last_update(loop: str, updates: int, overrides: list[str]) -> dict[str, Any]:
    """The same for the last update of our loop alone: in the first, libraries set themselves up."""
    if loop != "c":
        raise SystemExit("only our loop reports its updates one by one")
    resolved = set_up(updates, overrides)
    trainer, _ = our_trainer(resolved)
    measured: list[tuple[float, int]] = []
    trainer.train(
        lambda _row, episodes, seconds: measured.append(
            (seconds, sum(episode.answer.token_count for episode in episodes))
        ),
        lambda _update: True,
    )
    seconds, tokens = measured[-1]
    return {
        "tokens_per_s": tokens / seconds,
        "all_tokens_per_s": (tokens + prompt_tokens(resolved, first=updates)) / seconds,
        "peak_memory_mb": peak_memory_mb(resolved),
        "seconds_per_update": seconds,
    }


def count_operations(loop: str, updates: int, overrides: list[str]) -> dict[str, Any]:
    """Runs one loop and counts the floating-point operations of its matrix products and attention."""
    from torch.utils.flop_counter import FlopCounterMode

    resolved = set_up(updates, overrides)
    with FlopCounterMode(display=False) as counter:
        LOOPS[loop](resolved)
    return {"flop_per_episode": counter.get_total_flops() / (updates * resolved.experiment.ppo.episodes_per_update)}


def device_of(resolved: Any) -> str:
    from ppo_cli.models.device import choose_device

    return str(choose_device(resolved.experiment.device))


def peak_memory_mb(resolved: Any) -> float:
    """Of the GPU that was trained on, else of this process, so far."""
    import torch

    device = device_of(resolved)
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device) / (1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


# --- around the loops ---------------------------------------------------------------------------------


def growth(options: argparse.Namespace) -> None:
    """Our loop at growing sizes: time per token must stay about constant, memory must not follow the vocabulary."""
    print("| what | value | seconds per update | ms per answer token | ms per token, prompts too | peak memory, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for key, values in GROWTH.items():
        for value in values:
            overrides = [f"{key}={value}", "ppo.minibatches=4", *options.overrides]
            result = in_a_process("c", WARM_UP_UPDATES + 1, overrides, "--last-update")
            print(
                f"| {key} | {value} | {result['seconds_per_update']:.1f} | {1000 / result['tokens_per_s']:.1f} | "
                f"{1000 / result['all_tokens_per_s']:.2f} | {result['peak_memory_mb']:.0f} |",
                flush=True,
            )


def checkpoints(overrides: list[str]) -> str:
    """One run with a checkpoint after each update; the share of time that checkpoints take at the config's interval.

    Only updates and checkpoints are counted. A real run evaluates too, so its share is smaller.
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
    sizes: list[int] = []
    with tempfile.TemporaryDirectory(dir=HERE.parent / "runs", prefix=".bench-") as folder:
        layout = RunLayout(Path(folder))
        layout.checkpoints.mkdir()

        def save(_update: int) -> bool:
            started = time.perf_counter()
            checkpoint = save_checkpoint(trainer, layout, start)
            prune_checkpoints(layout, keep=experiment.checkpoints.keep, best=1)
            saves.append(time.perf_counter() - started)
            sizes.append(sum(file.stat().st_size for file in checkpoint.rglob("*")))
            return True

        trainer.train(lambda _row, _episodes, seconds: updates.append(seconds), save)
    update, saving = sum(updates) / len(updates), sum(saves) / len(saves)
    shares = {every: saving / (every * update + saving) for every in (1, experiment.checkpoints.every)}
    return (
        f"{update:.1f} s per update, {saving:.2f} s per checkpoint ({min(saves):.2f} to {max(saves):.2f}), "
        f"{sizes[-1] / 1e6:.0f} MB; share of the time "
        + ", ".join(f"{share:.1%} at checkpoints.every={every}" for every, share in shares.items())
        + f"\n{json.dumps(machine())}"
    )


def matmul_gflops() -> float:
    """Speed of one large matrix product in the dtype that training uses, 10^9 operations per second."""
    import torch

    from ppo_cli.models.device import choose_device, choose_dtype

    device = choose_device("auto")
    side = MATMUL_SIDES[device.type]
    left, right = (torch.randn(side, side, device=device).to(choose_dtype("auto", device)) for _ in "ab")
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        float((left @ right)[0, 0])
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best / 1e9


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


def table(results: dict[str, Any], loops: list[str]) -> str:
    lines = [
        "| loop | episodes/s | answer tokens/s | seconds per update | peak memory, MB | GFLOP/s | phases |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for loop in loops:
        result = results[loop]
        phases = ", ".join(f"{name} {share:.0%}" for name, share in result["phases"].items())
        lines.append(
            f"| {loop} | {result['episodes_per_s']:.2f} | {result['tokens_per_s']:.1f} | "
            f"{result['seconds_per_update']:.1f} | {result['peak_memory_mb']:.0f} | {result['gflops']:.0f} | {phases} |"
        )
    devices = {results[loop]["device"] for loop in loops}
    if len(devices) > 1:
        lines.append(f"\nNot comparable: the loops ran on {', '.join(sorted(devices))}.")
    for other in ("a", "b"):
        if {"c", other} <= set(loops):
            speed = results["c"]["episodes_per_s"] / results[other]["episodes_per_s"]
            memory = results["c"]["peak_memory_mb"] / results[other]["peak_memory_mb"]
            lines.append(f"\nc/{other}: {speed:.1f} times as fast, {memory:.2f} times the memory")
    lines.append(f"\nmatrix product: {results['matmul_gflops']:.0f} GFLOP/s; {json.dumps(results['machine'])}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
