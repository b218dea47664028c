"""Values that no config and no record should hold, and a tree with one of them in place of another."""

from hypothesis import strategies as st

HOSTILE = (
    None,
    True,
    False,
    0,
    -1,
    3,
    10**400,
    -(10**18),
    1e308,
    -0.5,
    "",
    " ",
    "None",
    "a: b",
    "${kl.coef}",
    "${oc.env:HOME}",
    "???",
    "../../x",
    "\x1b]0;title\x07\x9bm\u202e",
    "x; touch F #",
    "好" * 300,
    "9" * 5000,
    [],
    [[]],
    [1, "a", None],
    {},
    {"a": {"b": 1}},
    {"": 1},
)
values = st.sampled_from(HOSTILE)


def places(tree, path=()):
    """Every path within a tree of dicts and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in items:
        yield (*path, name)
        yield from places(value, (*path, name))


def changed(tree, path, value, *, delete=False):
    """A copy of a tree with another value in one place, or without it."""
    first, *rest = path
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    if rest:
        copy[first] = changed(copy[first], rest, value, delete=delete)
    elif delete:
        del copy[first]
    else:
        copy[first] = value
    return copy
