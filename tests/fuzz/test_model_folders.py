"""Whatever the files of a model folder hold, the model is usable or the reason is one sentence."""

import json
import random
import shutil
from contextlib import suppress

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppo_cli.errors import PpoError
from ppo_cli.models import model_source
from ppo_cli.models.chat_template import probe_template
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.models.model_digests import model_digests
from ppo_cli.preflight.tokenizer_checks import tokenizer_checks
from tests.fuzz.limits import FUZZ, for_a_while

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
    files = sorted(file for file in folder.iterdir() if file.is_file())
    often = [file for file in files if file.name in ("config.json", "tokenizer_config.json")]
    file = rng.choice([*files, *often * 3])
    content, way = file.read_bytes() or b"{}", rng.random()
    if file.suffix == ".json" and way < 0.75:
        with suppress(ValueError, RecursionError):  # it was broken before
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
    for_a_while("model_folders", lambda check_time: _break(tiny_model, tmp_path / "model", check_time))


def _break(whole, folder, check_time):
    @FUZZ
    @given(st.integers(0, 2**32), st.integers(1, 2))
    def run(seed, changes):
        check_time()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        rng = random.Random(seed)
        with suppress(PpoError):
            for _ in range(changes):
                break_one_file(folder, rng)
            use(folder)

    run()
