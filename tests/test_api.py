"""The Python interface: its names, their docstrings, what they accept, and the session in docs/python.md."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ppo_cli
from ppo_cli.errors import UsageError
from tests.made_runs import make_run
from tests.tiny_models import write_tiny_config

NAMES = [
    "audit_reward",
    "compare",
    "describe_prompts",
    "doctor",
    "dry_run",
    "evaluate",
    "export",
    "find_run",
    "init",
    "label",
    "list_measures",
    "list_runs",
    "load_experiment",
    "open_chat",
    "rehearse",
    "report",
    "resume",
    "sft_check",
    "sweep",
    "train",
    "verify_engine",
    "view",
]
PAGE = Path(__file__).parents[1] / "docs" / "python.md"
HEAVY = ("torch", "numpy", "transformers", "trl", "omegaconf", "typer")


def test_these_names_and_no_others():
    assert sorted(ppo_cli.__all__) == NAMES
    assert all(inspect.isfunction(getattr(ppo_cli, name)) for name in NAMES)
    assert set(NAMES) <= set(dir(ppo_cli))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'ppo_cli' has no attribute 'traain'"):
        _ = ppo_cli.traain


def test_type_checkers_see_the_functions_that_are_imported():
    """The imports under TYPE_CHECKING name the module that each function is loaded from."""
    tree = ast.parse(Path(ppo_cli.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    declared = {alias.name: line.module for line in block.body for alias in line.names}
    assert declared == {name: getattr(ppo_cli, name).__module__ for name in NAMES}
    assert (Path(ppo_cli.__file__).parent / "py.typed").is_file()


@pytest.mark.process
def test_the_import_is_light():
    code = f"import sys, ppo_cli; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.process
def test_a_function_is_not_hidden_by_a_package_of_the_program():
    """Also after the modules behind it were imported, which binds sub-packages to names in `ppo_cli`."""
    code = f"import ppo_cli, ppo_cli.cli; print([callable(getattr(ppo_cli, name)) for name in {NAMES}].count(True))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_typed_and_documented_with_an_example(name):
    function = getattr(ppo_cli, name)
    signature = inspect.signature(function)
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty
    text = inspect.getdoc(function)
    assert re.search(rf"Example:\n +>>> .*\b{name}\(", text), text
    assert all(f"    {parameter}: " in text for parameter in signature.parameters), text


@pytest.mark.parametrize("name", NAMES)
def test_every_function_takes_paths_as_str_and_as_path(name):
    for parameter in inspect.signature(getattr(ppo_cli, name)).parameters.values():
        if "Path" in parameter.annotation:
            assert re.search(r"\bstr\b", parameter.annotation), parameter
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        assert parameter.default is not inspect.Parameter.empty, parameter


@pytest.mark.parametrize("kind", [str, Path])
def test_configs_as_str_and_as_path(kind, tiny_config):
    loaded = ppo_cli.load_experiment(kind(tiny_config), ["kl.coef=0.1"])
    assert loaded.experiment.kl.coef == 0.1
    assert len(repr(loaded)) < 300
    assert ppo_cli.dry_run(kind(tiny_config)).config == ppo_cli.dry_run(loaded).config == str(tiny_config)


@pytest.mark.parametrize("kind", [str, Path])
def test_folders_as_str_and_as_path(kind, tmp_path):
    result = ppo_cli.init("blank", kind(tmp_path / "new"), fetch_model=False)
    assert (tmp_path / "new" / "experiment.yaml").is_file()
    assert len(repr(result)) < 300


@pytest.mark.parametrize("kind", [str, Path])
def test_runs_as_str_as_path_and_as_run(kind, tmp_path):
    first, second = (make_run(tmp_path / "runs", seed=seed, draw=seed) for seed in (1, 2))
    run = ppo_cli.find_run(first.name, kind(tmp_path / "runs"))
    assert [run.name, *(found.name for found in ppo_cli.list_runs(kind(tmp_path / "runs")))] == [
        first.name,
        *sorted([first.name, second.name]),
    ]
    (by_path,) = ppo_cli.compare([kind(first), kind(second)])
    (by_run,) = ppo_cli.compare([run, second.name], runs_dir=kind(tmp_path / "runs"))
    assert by_path == by_run
    assert len(repr(by_path)) < 300
    assert len(repr(run)) < 300


def test_a_run_that_is_not_there_is_a_usage_error():
    with pytest.raises(UsageError, match="no such run"):
        ppo_cli.report("nothing")


@pytest.mark.slow
def test_the_session_in_the_documentation_runs(tiny_model, tmp_path):
    write_tiny_config(tmp_path, tiny_model).rename(tmp_path / "experiment.yaml")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    names = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
    for record in (names["first"], names["second"], names["comparison"]):
        assert len(repr(record)) < 300
