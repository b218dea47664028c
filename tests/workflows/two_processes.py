"""A script that runs `ppo` many times, by one process or by two that train together.

    python two_processes.py CONFIG SFT PAIRS

The libraries are imported once; each process is a fork, made before torch has computed anything, with the variables
that torchrun sets. What run NAME prints is in `NAME.log`, its exit codes are in `codes.json`; its run folder is in the
folder `NAME`.
"""

import faulthandler
import json
import os
import runpy
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path

from ppo_cli.cli import app
from ppo_cli.engine import forward_passes, reward_model, warm_start  # noqa: F401 - imported here once, not in each fork
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import RewardUnavailableError
from ppo_cli.training import launch, run_loop  # noqa: F401 - as above

CONFIG, SFT, PAIRS = sys.argv[1:]
FULL = ("model.train.lora=null", "ppo.critic=layers", "ppo.learning_rate=1e-3", "ppo.updates=2")
"""All weights of the trained layers, and a critic of layers."""
SMALL_PASSES = ("ppo.tokens_per_pass=100",)
"""About one episode in each pass through the trained layers, so that the processes make unequal numbers of them."""
FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
"""What `accelerate launch` sets for a config with `fsdp_version: 2`."""
ONE_PER_NODE = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
"""What `torchrun --nnodes 2` sets in its processes."""


def main():
    codes = {}

    def ppo(name, *words, processes=2, variables=None, before=lambda: None):
        codes[name] = run_together(name, lambda: app([str(word) for word in words]), processes, variables or {}, before)
        Path("codes.json").write_text(json.dumps(codes))

    def train(name, *words, **settings):
        ppo(name, "train", CONFIG, *words, "--runs-dir", name, **settings)

    def resume(name, of, *words, **settings):
        folder = run_in(of)
        shutil.copytree(folder, Path(name) / folder.name)
        ppo(name, "train", "--resume", Path(name) / folder.name, *words, **settings)

    exchange = Path(__file__).parents[1] / "engine" / "distributed_script.py"
    codes["exchange"] = run_together("exchange", lambda: runpy.run_path(str(exchange)), 2, {}, lambda: None)

    # One process, two with the whole model each, two with a part of each layer.
    train("one", processes=1)
    train("two")
    train(
        "sharded", "--shard", before=lambda: after_first_checkpoint(lambda: shutil.copytree("sharded", "sharded cut"))
    )

    # Interrupted after update 2, and continued.
    train("two cut", before=lambda: after_first_checkpoint(lambda: os.killpg(0, signal.SIGTERM)))
    resume("two resumed", "two cut")
    resume("sharded resumed", "sharded cut", variables=FSDP2)
    train("mistake", "model.start=/nowhere", "reward.baseline=none")
    if "PPO_LONG_TESTS" not in os.environ:
        return

    # All weights, unequal numbers of passes, and the other ways to continue.
    train("full one", *FULL, *SMALL_PASSES, processes=1)
    train("full sharded", *FULL, *SMALL_PASSES, "--shard", variables=ONE_PER_NODE)
    resume("two resumed sharded", "two cut", "--shard")
    resume("sharded resumed by one", "sharded cut", processes=1)
    train("no service", "--shard", "checkpoints.every=4", "evaluation.every=4", before=lose_the_service)

    # What a sharded run leaves behind.
    last = run_in("sharded") / "last"
    ppo("eval", "eval", "--checkpoint", last, "--prompts", Path(CONFIG).parent / "train.jsonl", processes=1)

    # What the main process trains before the others join.
    taste = f'{{type: preference, pairs: "{PAIRS}", base: "{model_of(CONFIG)}", epochs: 1, weight: 1.0}}'
    warm = (f"model.warm_start={SFT}", "model.sft.epochs=1")
    train("trained inputs", f"reward.terms={{taste: {taste}}}", *warm, "ppo.updates=2", "--force")


def run_in(folder):
    """The only run folder in a folder."""
    (record,) = Path(folder).glob("*/run.json")
    return record.parent


def model_of(config):
    """The start model of the config."""
    (line,) = (line for line in Path(config).read_text().splitlines() if line.startswith("model:"))
    return line.partition("start: ")[2].partition(",")[0]


def run_together(name, function, processes, variables, before):
    """Runs a function in forks that have the variables of a launcher; gives their exit codes, the main one's first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            os.setpgid(0, children[0] if children else 0)
            if processes > 1:
                of_group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
                address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
                os.environ.update({key: str(value) for key, value in {**of_group, **address, **variables}.items()})
            in_child(name, function, before)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def in_child(name, function, before):
    """Runs the function, with its output in a file, and ends the process with the exit code."""
    log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.dump_traceback_later(900, exit=True)  # two that wait for each other
    code = 0
    try:
        before()
        function()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - a fork ends here
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    os._exit(code)


def after_first_checkpoint(act):
    """Acts as soon as the first checkpoint is written."""
    save = run_loop.save_checkpoint

    def save_and_act(*words):
        run_loop.save_checkpoint = save
        folder = save(*words)
        act()
        return folder

    run_loop.save_checkpoint = save_and_act


def lose_the_service():
    """The reward's service does not answer in the third update."""
    score = PolicyTrainer.score

    def score_or_fail(trainer, rollouts):
        if trainer.updates_done == 2:
            raise RewardUnavailableError("The service is away.", "Start it.")
        return score(trainer, rollouts)

    PolicyTrainer.score = score_or_fail


if __name__ == "__main__":
    main()
