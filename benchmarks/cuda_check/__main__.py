"""The command.

    python benchmarks/cuda_check [--out FILE] [--stages NAME,NAME] [--budget SECONDS] [--toy]

See benchmarks/README.md for a bare machine. `--toy` runs every stage on the CPU at toy size, which shows that the check
works and says nothing about a GPU.

Not here: the stages (`equality`, `speed`, `loops`), their processes and time guards (`runner`).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.cuda_check.runner import Runner, Size, Stage

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "benchmarks.cuda_check"
LIBRARIES = Stage("libraries", f"{PACKAGE}.runner:libraries", 150)
"""Always first, so that loading them from a cold disk counts against no other stage."""
STAGES = (
    Stage("machine", f"{PACKAGE}.speed:machine", 45),
    Stage("families", f"{PACKAGE}.equality:families", 60),
    Stage("trainer", f"{PACKAGE}.equality:trainer", 45),
    Stage("repeat", f"{PACKAGE}.equality:repeat", 100),
    Stage("resume", f"{PACKAGE}.equality:resume", 45),
    Stage("sampling", f"{PACKAGE}.speed:sampling_rates", 75),
    Stage("memory", f"{PACKAGE}.speed:memory", 60),
    Stage("lora-8b", f"{PACKAGE}.speed:lora_8b", 110),
    Stage("trl", f"{PACKAGE}.loops:trl", 75),
    Stage("demo", f"{PACKAGE}.loops:demo", 120),
)
"""In order of importance: those at the end are left out when time runs short. Limits in seconds."""


def main() -> int:
    """Runs the stages; 0 if all were done."""
    parser = argparse.ArgumentParser(prog="cuda_check", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a file that gets the JSON lines too")
    parser.add_argument("--stages", default=",".join(stage.name for stage in STAGES))
    parser.add_argument("--budget", type=float, default=520, help="seconds for all stages together")
    parser.add_argument("--toy", action="store_true", help="on the CPU at toy size, without time limits")
    options = parser.parse_args()
    wanted = options.stages.split(",")
    unknown = set(wanted) - {stage.name for stage in STAGES}
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    set_environment()
    runner = Runner(Size(device="cpu" if options.toy else "cuda", toy=options.toy), options.out)
    chosen = [LIBRARIES, *(stage for stage in STAGES if stage.name in wanted)]
    return 0 if runner.run(chosen, float("inf") if options.toy else options.budget) else 1


def set_environment() -> None:
    """For the processes of the stages."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    os.environ["PYTHONWARNINGS"] = "ignore"
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # so that asking for a GPU starts no CUDA before the fork


if __name__ == "__main__":
    sys.exit(main())
