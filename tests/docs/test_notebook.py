"""docs/first_run.ipynb runs from its first cell to its last, with a tiny model and two updates."""

from pathlib import Path

import pytest

from tests.tiny_models import write_tiny_config

NOTEBOOK = Path(__file__).parents[2] / "docs/first_run.ipynb"


def text_of(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def test_the_notebook_is_kept_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in notebook.cells)


@pytest.mark.long
@pytest.mark.process
def test_the_notebook_runs(tiny_model, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    (tmp_path / "my-exp").mkdir()
    write_tiny_config(tmp_path / "my-exp", tiny_model).rename(tmp_path / "my-exp/experiment.yaml")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source += '\nchanges = ["ppo.updates=2", "ppo.warmup_updates=0"]'
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    printed = "".join(text_of(cell) for cell in notebook.cells if cell.cell_type == "code")
    assert "update 2: reward" in printed
    assert "refusal.separation" in printed
    images = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(images) == 1
    (page,) = (tmp_path / "runs").glob("*/reports/report.html")
    assert str(page.name) in printed
