"""What a shell proposes: runs, their checkpoints, configs; without reading a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ppo_cli.cli import app
from tests.terminal import process_environment


@pytest.fixture
def runs():
    """Two runs, one of which has checkpoints and a best one."""
    for name, state in (("alpha-kl0.1-s1-abc123", {"best_step": 10}), ("beta", {})):
        folder = Path("runs") / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(state))
    for step in (10, 20):
        (Path("runs") / "alpha-kl0.1-s1-abc123" / "checkpoints" / f"step-{step:06}").mkdir(parents=True)
    (Path("runs") / "evaluations").mkdir()


def proposed(capsys, monkeypatch, *words):
    """What bash gets for the last of some words."""
    monkeypatch.setenv("COMP_WORDS", " ".join(["ppo", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    monkeypatch.setenv("_PPO_COMPLETE", "complete_bash")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        app(args=[], prog_name="ppo")
    return capsys.readouterr().out.split()


ALPHA = "alpha-kl0.1-s1-abc123"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["show", ""], [ALPHA, "beta", "latest"]),
        (["show", "al"], [ALPHA]),
        (["show", "runs/"], [f"runs/{ALPHA}", "runs/beta"]),
        (["compare", "beta", "b"], ["beta"]),
        (["train", "--resume", "b"], ["beta"]),
        (["train", "--parent", "runs/b"], ["runs/beta"]),
        (["eval", "al"], [ALPHA, f"{ALPHA}/best", f"{ALPHA}/last"]),
        (["eval", "--checkpoint", f"{ALPHA}/s"], [f"{ALPHA}/step-10", f"{ALPHA}/step-20"]),
        (["eval", "--checkpoint", f"runs/{ALPHA}/l"], [f"runs/{ALPHA}/last"]),
        (["eval", "--checkpoint", "beta/"], []),
        (["show", "zzz"], []),
        (["show", "--runs-dir", "nowhere", ""], []),
        (["init", "ref"], ["refusal"]),
    ],
)
def test_runs_and_checkpoints(words, names, runs, capsys, monkeypatch):
    assert proposed(capsys, monkeypatch, *words) == names


def test_configs_here_and_one_folder_below(capsys, monkeypatch):
    for name in ("a.yaml", "b.yml", "notes.txt", "my-exp/experiment.yaml", "my-exp/prompts/x.yaml", ".hidden/c.yaml"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")
    assert proposed(capsys, monkeypatch, "train", "") == ["a.yaml", "b.yml", "my-exp/experiment.yaml"]
    assert proposed(capsys, monkeypatch, "sft-check", "my") == ["my-exp/experiment.yaml"]
    assert proposed(capsys, monkeypatch, "reward", "my-exp/") == ["my-exp/experiment.yaml", "my-exp/prompts/x.yaml"]
    assert proposed(capsys, monkeypatch, "train", "zzz") == []


@pytest.mark.process
def test_a_proposal_reads_no_run_and_imports_nothing_slow(runs, tmp_path):
    (tmp_path / "runs" / "beta" / "run.json").write_text("{broken")
    heavy = ("torch", "numpy", "omegaconf", "transformers")  # typer itself imports pydantic
    code = f"""
import sys
from ppo_cli.cli import app
try:
    app(args=[], prog_name="ppo")
except SystemExit:
    print([name for name in {heavy} if name in sys.modules])
"""
    environment = process_environment(_PPO_COMPLETE="complete_bash", COMP_WORDS="ppo eval b", COMP_CWORD="2")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.split("\n")[:2] == ["beta", "[]"]
    assert [path.name for path in (tmp_path / "runs" / "beta").iterdir()] == ["run.json"]
