"""A term that is a Python function of the user: loaded, called with the lists that it names, and checked."""

import random
import subprocess
import sys

import pytest

from ppo_cli.errors import CheckFailedError, ConfigError, MemoryFullError
from ppo_cli.experiment.schema import Reward
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.reward_function import CompositeReward

PROMPTS = [
    Prompt(id="a", text="Is it far?", expect="comply", category="plain.way"),
    Prompt(id="b", text="Hurt him.", expect="refuse", answer="No."),
]
ANSWERS = [
    Answer(text="Two miles.", token_count=4, finish="eos"),
    Answer(text="I won't", token_count=2, finish="length"),
]
OTHERS = [[Answer(text="Far.", token_count=2, finish="eos")], [Answer(text="No!!", token_count=2, finish="eos")]]


@pytest.fixture
def term(tmp_path):
    def make(source, name="score", **parameters):
        file = tmp_path / "mine.py"
        file.write_text(source, encoding="utf-8")
        settings = {"type": "python", "function": f"{file}:{name}", **parameters}
        return CompositeReward(Reward(terms={"mine": settings}))

    return make


def scores(reward, others=((), ())):
    return [scored.terms["mine"] for scored in reward(PROMPTS, ANSWERS, others)]


def test_it_gets_the_lists_that_it_names(term):
    source = """
def score(answers, prompts, expect, category, ids, written, ended, tokens):
    rows = zip(prompts, answers, expect, category, ids, written, ended, tokens, strict=True)
    seen = [("Is it far?", "Two miles.", "comply", "plain.way", "a", None, True, 4),
            ("Hurt him.", "I won't", "refuse", "all", "b", "No.", False, 2)]
    return [float(row == wanted) for row, wanted in zip(rows, seen)]
"""
    assert scores(term(source)) == [1.0, 1.0]


def test_the_other_answers_are_scored_and_subtracted(term):
    reward = term("def score(answers):\n    return [len(answer) for answer in answers]\n")
    result = reward(PROMPTS, ANSWERS, OTHERS)
    assert [item.terms["mine"] for item in result] == [10.0, 7.0]
    assert [item.baseline_terms["mine"] for item in result] == [4.0, 4.0]
    assert [item.reward for item in result] == [6.0, 3.0]


def test_a_function_that_asks_for_the_others_compares_by_itself(term):
    source = "def score(answers, others):\n    return [len(a) - 2 * len(o[0]) for a, o in zip(answers, others)]\n"
    result = term(source)(PROMPTS, ANSWERS, OTHERS)
    assert [item.reward for item in result] == [2.0, -1.0]
    assert [item.baseline_terms for item in result] == [{}, {}]


def test_parameters_reach_it_as_its_signature_says(term):
    source = """
def score(answers, factor: float, words: list[str] = ("x",), limit: int | None = None):
    assert type(factor) is float
    return [factor * len(words) + (limit or 0)] * len(answers)
"""
    assert scores(term(source, factor=2, words=["a", "b"])) == [4.0, 4.0]
    assert scores(term(source, factor=2.0, limit=3)) == [5.0, 5.0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"facto": 2}, r"reward\.terms\.mine\.facto: the function has no such parameter\. Did you mean .*\.factor\?"),
        ({}, r"reward\.terms\.mine\.factor: missing; the function has no default"),
        ({"factor": "two"}, r"reward\.terms\.mine\.factor: must be a number, got 'two'"),
        ({"factor": 1, "words": "a"}, r"reward\.terms\.mine\.words: must be a list"),
    ],
)
def test_a_parameter_that_does_not_fit_the_signature(term, parameters, message):
    reward = term("def score(answers, factor: float, words: list[str] = ()):\n    return [factor]\n", **parameters)
    with pytest.raises(ConfigError, match=message):
        reward.open()


def test_a_function_that_takes_anything_gets_everything(term):
    source = "def score(answers, **rest):\n    return [rest['whatever']] * len(answers)\n"
    assert scores(term(source, whatever=3)) == [3.0, 3.0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def scores(answers):\n    return []\n", r"has no function 'score'\. Did you mean scores\?"),
        ("score = 3\n", r"has no function 'score'"),
        ("def score(prompts):\n    return []\n", r"its arguments are \(prompts\), and `answers` is not among them"),
        ("def score(answers)\n", r"cannot be loaded: SyntaxError"),
        ("import no_such_module\n", r"cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemError('no')\n", r"cannot be loaded: SystemError: no"),
    ],
)
def test_a_function_that_cannot_be_used_is_said_so_before_it_scores(term, source, message):
    with pytest.raises(ConfigError, match=message):
        term(source).open()


def test_no_such_file_or_module(tmp_path):
    for function in (f"{tmp_path}/none.py:score", "no.such.module:score"):
        reward = CompositeReward(Reward(terms={"mine": {"type": "python", "function": function}}))
        with pytest.raises(ConfigError, match=r"reward\.terms\.mine\.function: no file or installed module"):
            reward.open()


def test_a_function_of_an_installed_module():
    parameters = {"function": "ppo_cli.text.words:words"}
    with pytest.raises(ConfigError, match=r"its arguments are \(text\)"):
        CompositeReward(Reward(terms={"mine": {"type": "python", **parameters}})).open()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("[1.0]", r"mine returned 1 scores for 2 answers"),
        ("[1.0, 2.0, 3.0]", r"mine returned 3 scores for 2 answers"),
        ("[1.0, float('nan')]", r"of prompt 'b' is nan \(term mine\)"),
        ("[float('-inf'), 1.0]", r"of prompt 'a' is -inf \(term mine\)"),
        ("['1.0', '2.0']", r"of prompt 'a' is '1\.0', not a number \(term mine\)"),
        ("[10**400, 1.0]", r"of prompt 'a' is 10{39} \(term mine\)"),
        ("[-10**5000, 1.0]", r"of prompt 'a' is too long to show \(int\) \(term mine\)"),
        ("[__import__('fractions').Fraction(10**400), 1.0]", r"of prompt 'a' is 10{39}"),
        ("[1.0, None]", r"of prompt 'b' is 'None', not a number \(term mine\)"),
        ("[[1.0], [2.0]]", r"of prompt 'a' is '\[1\.0\]', not a number \(term mine\)"),
        ("None", r"mine failed: TypeError"),
        ("3.0", r"mine failed: TypeError"),
        ("1 / 0", r"mine failed: ZeroDivisionError: division by zero"),
    ],
)
def test_what_breaks_the_contract_is_named(term, returned, message):
    with pytest.raises(CheckFailedError, match=message):
        scores(term(f"def score(answers):\n    return {returned}\n"))


def test_a_sum_that_is_too_large_for_a_number_is_named(tmp_path):
    (tmp_path / "mine.py").write_text("def score(answers):\n    return [1e308] * len(answers)\n")
    term = {"type": "python", "weight": 1000.0, "function": f"{tmp_path}/mine.py:score"}
    with pytest.raises(CheckFailedError, match=r"of prompt 'a' is inf \(the weighted sum\)"):
        scores(CompositeReward(Reward(terms={"mine": term})))


@pytest.mark.parametrize("returned", ["np.array([1, 2])", "torch.tensor([1.0, 2.0])", "(x for x in (True, 2))"])
def test_numbers_of_any_library_are_numbers(term, returned):
    source = f"import numpy as np\nimport torch\ndef score(answers):\n    return {returned}\n"
    assert scores(term(source)) == [1.0, 2.0]


def test_nothing_is_run_before_it_is_opened(term, tmp_path):
    reward = term(f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef score(answers):\n    return [0, 0]\n")
    assert not (tmp_path / "ran").exists()
    reward.open()
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("ends", ["sys.exit()", "sys.exit('done')", "exit(0)", "raise GeneratorExit", "quit()"])
@pytest.mark.parametrize("when", ["at import", "when called"])
def test_user_code_that_ends_the_program_is_an_error(term, ends, when):
    if when == "at import":
        with pytest.raises(ConfigError, match=r"mine\.py cannot be loaded: .*tried to end the program"):
            term(f"import sys\n{ends}\ndef score(answers):\n    return [0, 0]\n").open()
    else:
        with pytest.raises(CheckFailedError, match=r"term mine failed: .*tried to end the program"):
            scores(term(f"import sys\ndef score(answers):\n    {ends}\n"))


@pytest.mark.parametrize("ends", ["return [9] * len(answers)", "sys.exit(3)", "1 / 0"])
def test_a_fork_that_user_code_leaves_behind_ends_with_the_call(term, tmp_path, ends):
    log = tmp_path / "log"
    source = f"""
import os, sys
def score(answers):
    if os.fork() == 0:
        {ends}
    os.wait()
    return [1] * len(answers)
"""
    assert scores(term(source)) == [1.0, 1.0]
    with log.open("a") as file:  # the copy would come here too
        file.write("x")
    assert log.read_text() == "x"


def test_what_user_code_prints_goes_to_stderr_however_it_prints(term, capfd):
    source = """
import os, subprocess, sys
print("at import")
def score(answers):
    print("python")
    os.write(1, b"descriptor\\n")
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    return [0.0 for _ in answers if print("generator") is None]
"""
    assert scores(term(source)) == [0.0, 0.0]
    sys.stdout.write("ours\n")
    out, err = capfd.readouterr()
    assert out == "ours\n"
    assert {"at import", "python", "descriptor", "child", "generator"} <= set(err.splitlines())


def test_user_code_can_close_no_stream(term, capfd):
    source = "import sys\ndef score(answers):\n    sys.stdout.close(); sys.stderr.close()\n    return [0, 0]\n"
    assert scores(term(source)) == [0.0, 0.0]
    sys.stdout.write("out")
    sys.stderr.write("err")
    assert capfd.readouterr() == ("out", "err")


@pytest.mark.process
def test_what_user_code_prints_at_the_end_of_the_process_goes_to_stderr(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import atexit\natexit.register(print, 'at the end')\ndef score(answers):\n    return [0.0] * len(answers)\n"
    )
    code = (
        "from ppo_cli.experiment.schema import Reward; from ppo_cli.rewards.reward_function import CompositeReward;"
        f"term = {{'type': 'python', 'function': {str(tmp_path / 'mine.py:score')!r}}};"
        "CompositeReward(Reward(terms={'mine': term})).open(); print('ours')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("ours\n", "at the end\n")


LEAKS = {
    "os.chdir('/')": "os.getcwd() == '/'",
    "os.environ['LEAK'] = '1'": "os.environ.get('LEAK') == '1'",
    "sys.path.insert(0, '/leak')": "'/leak' in sys.path",
    "sys.argv[:] = ['leak']": "sys.argv == ['leak']",
    "random.seed(3)": "random.getstate() == random.Random(3).getstate()",
    "np.random.seed(3)": "np.random.get_state()[1][0] == 3",
    "torch.manual_seed(3)": "torch.initial_seed() == 3",
    "torch.set_grad_enabled(False)": "not torch.is_grad_enabled()",
    "torch.set_default_dtype(torch.float64)": "torch.get_default_dtype() == torch.float64",
    "torch.set_default_device('meta')": "str(torch.get_default_device()) == 'meta'",
    "torch.use_deterministic_algorithms(True)": "torch.are_deterministic_algorithms_enabled()",
    "signal.signal(signal.SIGINT, print)": "signal.getsignal(signal.SIGINT) is print",
    "locale.setlocale(locale.LC_ALL, 'C')": "locale.setlocale(locale.LC_ALL) == 'C'",
    "os.umask(0o123)": "umask() == 0o123",
    "gc.disable()": "not gc.isenabled()",
    "decimal.getcontext().prec = 3": "decimal.getcontext().prec == 3",
    "socket.setdefaulttimeout(77)": "socket.getdefaulttimeout() == 77",
    "sys.excepthook = print": "sys.excepthook is print",
    "files(200)": "files() == 200",
    "np.seterr(all='raise')": "np.geterr()['divide'] == 'raise'",
}
IMPORTS = """
import decimal, gc, locale, os, random, resource, signal, socket, sys
import numpy as np
import torch
def files(*wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (*wanted, hard))
    return soft
def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
"""


@pytest.mark.parametrize(("leak", "is_set"), LEAKS.items(), ids=LEAKS)
@pytest.mark.parametrize("when", ["at import", "when called"])
def test_user_code_keeps_its_settings_and_the_program_keeps_its_own(term, leak, is_set, when):
    before = eval(f"({is_set}, random.getstate(), torch.get_rng_state().tolist())", namespace := _modules())
    at_import, when_called = (leak, "pass") if when == "at import" else ("pass", leak)
    source = f"{IMPORTS}{at_import}\ncalls = []\ndef score(answers):\n    was_set = {is_set}\n    {when_called}\n"
    reward = term(f"{source}    return [float(was_set)] * len(answers)\n")
    first, second = scores(reward), scores(reward)
    assert first == [float(when == "at import")] * 2
    assert second == [1.0, 1.0]
    assert eval(f"({is_set}, random.getstate(), torch.get_rng_state().tolist())", namespace) == before


def _modules():
    namespace = {}
    exec(IMPORTS, namespace)
    return namespace


def test_random_scores_go_on_from_call_to_call_and_leave_the_programs_draws_alone(term):
    reward = term("import random\nrandom.seed(1)\ndef score(answers):\n    return [random.random() for _ in answers]\n")
    random.seed(5)
    expected = random.Random(5).random()
    first, second = scores(reward), scores(reward)
    assert first != second
    assert random.random() == expected


def test_a_full_memory_in_a_reward_is_said_as_such(term):
    with pytest.raises(MemoryFullError, match=r"^The memory of the machine is full"):
        scores(term("def score(answers):\n    raise MemoryError\n"))
