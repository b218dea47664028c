"""Whatever the files of a model folder hold, the model is usable or the reason is one sentence."""

import json
import random
import shutil
import time
from contextlib import suppress

import pytest
import torch

from ppo_cli.errors import PpoError
from ppo_cli.models import model_source
from ppo_cli.models.chat_template import probe_template
from ppo_cli.models.loading import load_model, load_tokenizer, model_digests
from ppo_cli.preflight.tokenizer_checks import tokenizer_checks
from tests.fuzz.limits import SECONDS

VALUES = [None, True, 0, -1, 10**30, 1e308, "", "x", "\u202e", [], [1], ["a"], {}, {"a": 1}, [[]], "float16", 7, 64]
CONTENTS = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"[" * 5000,
    b"1" * 5000,
    b"version https://git-lfs.github.com/spec/v1",
]


def changed(value, rng):
    """A JSON value with one value in it removed, added or replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name, value = rng.choice(list(value)), dict(value)
        if rng.random() < 0.2:
            del value[name]
        else:
            value[name] = changed(value[name], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.6:
        index = rng.randrange(len(value))
        return [*value[:index], changed(value[index], rng), *value[index + 1 :]]
    return rng.choice(VALUES)


def break_one_file(folder, rng):
    files = sorted(folder.iterdir())
    file = rng.choice([*files, *[folder / "config.json"] * 4, *[folder / "tokenizer_config.json"] * 2])
    content, way = file.read_bytes(), rng.random()
    if file.suffix == ".json" and way < 0.75:
        file.write_text(json.dumps(changed(json.loads(content), rng)))
    elif way < 0.85:
        raw = bytearray(content)
        for _ in range(rng.choice([1, 5, 50])):
            raw[rng.randrange(min(len(raw), 4000))] = rng.randrange(256)
        file.write_bytes(bytes(raw))
    elif way < 0.92:
        file.write_bytes(content[: rng.randrange(len(content))])
    elif way < 0.96:
        file.unlink()
        if way < 0.94:
            file.mkdir()
    else:
        file.write_bytes(rng.choice(CONTENTS))


def use(folder):
    """What `ppo train` does with a model folder before it trains."""
    source = model_source.resolve(str(folder))
    tokenizer = load_tokenizer(source.folder)
    ids = tokenizer.render("a b")
    probe_template(tokenizer)
    tokenizer_checks(tokenizer, source.folder)
    model_digests(source.folder, tokenizer)
    with torch.no_grad():
        load_model(source.folder, tokenizer, torch.device("cpu"), torch.float32)(torch.tensor([ids]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_broken_model_folder_never_ends_in_a_traceback(tiny_model, tmp_path):
    end, seed = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tiny_model, folder)
        break_one_file(folder, random.Random(seed))
        with suppress(PpoError):
            use(folder)
        seed += 1
    assert seed > 20
