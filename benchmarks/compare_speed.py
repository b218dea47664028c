"""How long `ppo compare` takes on many prompts: processor seconds of the whole command, without a model.

    python benchmarks/compare_speed.py --prompts 1000 --answers 4

Below 5 seconds is the aim for 1,000 prompts of four answers. The two runs are written by the tests' own helper.

Not here: training (`bench.py`), how often a comparison is right (`simulate_comparisons.py`).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ppo_cli.experiment.schema import Evaluation, Kl
from tests.made_runs import make_run

KINDS = (("scary.x", "comply"), ("unsafe.x", "refuse"), ("plain.x", "comply"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=4, help="answers per prompt")
    options = parser.parse_args()
    rows = [
        {
            "id": f"e{index}",
            "prompt": f"question {index} about {index * 7919 % 1000} and {index * 31 % 997}?",
            "category": KINDS[index % 3][0],
            "expect": KINDS[index % 3][1],
            "pair_id": None,
        }
        for index in range(options.prompts)
    ]
    settings = {"eval_rows": rows, "evaluation": Evaluation(samples_per_prompt=options.answers)}
    with tempfile.TemporaryDirectory() as folder:
        first = make_run(Path(folder), draw=1, **settings)
        second = make_run(Path(folder), draw=2, kl=Kl(coef=0.5), safe=0.3, **settings)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "ppo_cli", "compare", str(first), str(second)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{options.prompts} prompts of {options.answers} answers: {seconds:.1f} processor seconds")


if __name__ == "__main__":
    main()
