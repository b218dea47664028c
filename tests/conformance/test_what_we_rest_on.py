"""Every import from TRL and from modules that transformers does not publish: a new one is added here on purpose.

docs/verify-engine.md, "When transformers 6 comes", says what takes the place of each.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ppo_cli"
RESTS_ON = {
    "engine/lora.py": {"transformers.pytorch_utils.Conv1D"},
    "engine/reward_model.py": {"trl.RewardConfig", "trl.RewardTrainer"},
    "engine/tracking.py": {"transformers.integrations.get_reporting_integration_callbacks"},
    "engine/trainer.py": {"trl.experimental.ppo.PPOTrainer"},
    "engine/trl_config.py": {"trl.experimental.ppo.PPOConfig"},
    "engine/warm_start.py": {"trl.SFTConfig", "trl.SFTTrainer"},
    "models/answer_logprobs.py": {"transformers.cache_utils.DynamicLayer"},
    "models/chat_rendering.py": {"transformers.utils.chat_template_utils"},
    "models/grouped_attention.py": {
        "transformers.integrations.sdpa_attention.sdpa_attention_forward",
        "transformers.masking_utils.eager_mask",
    },
    "models/kv_cache.py": {"transformers.cache_utils.DynamicLayer"},
    "models/prefill.py": {"transformers.cache_utils.DynamicLayer"},
    "models/slot_decoder.py": {
        "transformers.cache_utils.DynamicLayer",
        "transformers.cache_utils.DynamicSlidingWindowLayer",
    },
    "models/template_date.py": {"transformers.utils.chat_template_utils"},
}
"""By file under ppo_cli/: what may be gone with another release. What `transformers` itself exports is not listed."""


def imports_of(source):
    """Dotted names that a source takes from TRL and from transformers' submodules."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if is_unpublished(name)}


def is_unpublished(name):
    package, _, rest = name.partition(".")
    return package == "trl" or (package == "transformers" and "." in rest)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from trl import SFTTrainer", {"trl.SFTTrainer"}),
        ("def f():\n    import trl.experimental.ppo", {"trl.experimental.ppo"}),
        ("from transformers.cache_utils import DynamicLayer", {"transformers.cache_utils.DynamicLayer"}),
        ("from transformers import AutoModel\nimport transformers", set()),
    ],
)
def test_what_counts(source, found):
    assert imports_of(source) == found


def test_every_such_import_is_listed_and_every_listed_one_is_there():
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in sorted(PACKAGE.rglob("*.py"))
        if (names := imports_of(path.read_text(encoding="utf-8")))
    }
    assert found == RESTS_ON


def test_the_page_says_what_takes_the_place_of_each():
    page = (ROOT / "docs" / "verify-engine.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for file, names in RESTS_ON.items():
        of_file = [row for row in rows if f"`{file}`" in row]
        assert of_file, file
        for name in names:
            assert any(f"`{name.rpartition('.')[2]}`" in row for row in of_file), (file, name)
