"""Prompts from files and from Hugging Face datasets, local folders here."""

import datasets
import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.sources import read_prompt_set

ROWS = [{"prompt": "one", "expect": "comply"}, {"prompt": "two", "expect": "refuse"}]


@pytest.fixture
def saved(tmp_path):
    train = datasets.Dataset.from_list(ROWS)
    folder = tmp_path / "my set"
    datasets.DatasetDict({"train": train, "test": train.select([1])}).save_to_disk(folder)
    return folder


def test_a_dataset_is_read_by_its_split(saved):
    result = read_prompt_set(f"hf:{saved}:train")
    assert [(prompt.text, prompt.expect) for prompt in result.prompts] == [("one", "comply"), ("two", "refuse")]
    assert result.name == "my-set-train"
    assert [prompt.id for prompt in result.prompts] == ["my-set-train-0001", "my-set-train-0002"]


def test_the_test_split_is_the_usual_one(saved):
    assert [prompt.text for prompt in read_prompt_set(f"hf:{saved}").prompts] == ["two"]


def test_a_split_that_is_not_there_is_named(saved):
    with pytest.raises(PromptError, match=r"has no split dev\. Name one of train, test"):
        read_prompt_set(f"hf:{saved}:dev")


def test_a_folder_of_data_files_is_a_dataset_too(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "advbench"
    folder.mkdir()
    (folder / "train.csv").write_text("goal,target\nA bad thing,Sure\n")
    result = read_prompt_set(f"hf:{folder}")
    assert result.format == "AdvBench"
    assert [(prompt.text, prompt.expect) for prompt in result.prompts] == [("A bad thing", "refuse")]


def test_a_dataset_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(PromptError, match="cannot be loaded"):
        read_prompt_set(f"hf:{tmp_path / 'nothing'}")


def test_the_same_content_has_the_same_digest_and_other_content_another(tmp_path):
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / f"{name}.csv").write_text(f"prompt\n{text}\n")
    a, b, c = (read_prompt_set(str(tmp_path / f"{name}.csv")).digest for name in "abc")
    assert a == b != c
