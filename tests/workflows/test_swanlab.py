"""SwanLab in its local mode, where it is installed (the extra `swanlab`): a real run, read back from its files.

What all trackers have in common is tested with TensorBoard (`test_trackers`).
"""

import json
import sqlite3
from contextlib import closing

import pytest

from ppo_cli.engine.tracking import NAMES, SENT_FILE
from tests.terminal import only_run, records, succeed

pytest.importorskip("swanlab")
pytest.importorskip("swanboard")


def curves(folder):
    """Every curve as [(step, value)], in the order of the files."""
    with closing(sqlite3.connect(folder / "runs.swanlab")) as database:
        rows = database.execute(
            "select tag.name, tag.folder, experiment.run_id, experiment.name from tag "
            "join experiment on tag.experiment_id = experiment.id order by experiment.id"
        ).fetchall()
    found = {}
    for name, number, run, _ in rows:
        for file in sorted((folder / run / "logs" / number).glob("*.log")):
            points = [json.loads(line) for line in file.read_text().splitlines()]
            found.setdefault(name, []).extend((point["index"], point["data"]) for point in points)
    return found, [name for _, _, _, name in rows]


@pytest.mark.slow
def test_its_files_hold_the_numbers_of_metrics_jsonl_and_no_prompt(shared_config, trained, monkeypatch):
    monkeypatch.delenv("SWANLAB_MODE", raising=False)
    succeed("train", shared_config, "tracking=[swanlab]")
    run = only_run()
    folder = run / "tracking" / "swanlab"
    found, experiments = curves(folder)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for name, readable in NAMES.items():
        sent = [(row["update"], row[name]) for row in rows if row[name] is not None]
        assert found.get(f"train/{readable}", []) == sent, name
    assert [step for step, _ in found["eval/interim/length.tokens"]] == [2]
    assert [step for step, _ in found["eval/whole/length.tokens/low"]] == [0, 4]
    assert set(experiments) == {run.name}
    assert json.loads((run / "tracking" / SENT_FILE).read_text())["swanlab"]["steps"]["update"] == 4
    assert records(run) == records(trained())
    prompts = [json.loads(line)["prompt"] for line in (run / "rollouts.jsonl").read_text().splitlines()]
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert prompts
    assert not [prompt for prompt in prompts if prompt.encode() in written]
