"""Which way imports run, and what the product never does: read from the source, nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("app.py", "pages/**/*.py", "ui/**/*.py", "vae/**/*.py", "checkpoints/*.py")
DASK = {"dask", "distributed"}
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}

#: {files: what none of them may import}. `*` crosses folders.
FORBIDDEN = {
    "vae/*": {"streamlit", "plotly", "ui", "pages", *DASK},
    "vae/config.py": {"vae"},
    "vae/nn.py": {"vae"},
    "vae/bounds.py": {"vae"},
    "ui/*": {"pages"},
    "ui/figures.py": {"streamlit", "torch", "vae"},
    "pages/*": {"torch", "pages", *DASK},
    "*": UNPICKLERS,
}

#: {what only these files may import}.
RESERVED = {
    "dask": {"ui/jobs.py"},
    "distributed": {"ui/jobs.py"},
    "torchvision": {"vae/downloads.py", "vae/torchvision_remedy.py"},
}

#: Calls that unpickle what they are given, by their full name.
UNPICKLING = {
    "torch.load",
    "torch.hub.load",
    "torch.jit.load",
    "torch.export.load",
    "pandas.read_pickle",
}
VAGUE = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}


def product(root: Path) -> dict[str, ast.Module]:
    """Every source file of the product, parsed, by its path below the root."""
    files = (path for pattern in PRODUCT for path in root.glob(pattern))
    return {p.relative_to(root).as_posix(): ast.parse(p.read_text("utf-8")) for p in files}


def imports(name: str, tree: ast.Module) -> Iterator[str]:
    """The full names that a file imports, wherever in it, relative ones and import_module too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                above = name.split("/")[:-level] if level else []
                base = ".".join([*above, *filter(None, [module])])
                yield from (f"{base}.{alias.name}" for alias in aliases)
            case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_]):
                if ast.unparse(function).split(".")[-1] in {"import_module", "__import__"}:
                    yield module


def full_names(tree: ast.Module) -> dict[str, str]:
    """What the names in a file stand for: ``{"np": "numpy", "load": "torch.load"}``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def forbidden_imports(root: Path) -> list[str]:
    """Imports against the two tables, each as ``file imports module``."""
    found = []
    for name, tree in product(root).items():
        for module in imports(name, tree):
            top = module.split(".")[0]
            against = any(fnmatch(name, files) and top in no for files, no in FORBIDDEN.items())
            if against or name not in RESERVED.get(top, {name}):
                found.append(f"{name} imports {top}")
    return found


def forbidden_calls(root: Path) -> list[str]:
    """Calls that unpickle, or that put a script into a page, each as ``file calls function``."""
    found = []
    for name, tree in product(root).items():
        known = full_names(tree)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            first, *rest = ast.unparse(call.func).split(".")
            function = ".".join([known.get(first, first), *rest])
            options = {k.arg: k.value for k in call.keywords}
            pickles = options.get("allow_pickle", ast.Constant(False))
            if function in UNPICKLING or ast.unparse(pickles) != "False":
                found.append(f"{name} calls {function}")
            if "unsafe_allow_javascript" in options:
                found.append(f"{name} calls {function} with unsafe_allow_javascript")
    return found


def circles(root: Path) -> list[str]:
    """Modules of the product that import themselves by way of others."""
    trees = product(root)
    modules = {n.removesuffix(".py").removesuffix("/__init__").replace("/", "."): n for n in trees}
    graph: dict[str, set[str]] = {}
    for module, name in modules.items():
        seen = {m if m in modules else m.rpartition(".")[0] for m in imports(name, trees[name])}
        graph[module] = (seen & modules.keys()) - {module}
    found = []
    for start in graph:
        reached, ahead = set(), list(graph[start])
        while ahead:
            module = ahead.pop()
            if module not in reached:
                reached.add(module)
                ahead += graph[module]
        if start in reached:
            found.append(start)
    return found


def test_there_is_something_to_check() -> None:
    assert {"vae/config.py", "vae/bounds.py"} <= product(ROOT).keys()


def test_imports_run_one_way() -> None:
    assert forbidden_imports(ROOT) == []


def test_nothing_is_unpickled_and_no_script_injected() -> None:
    assert forbidden_calls(ROOT) == []


def test_no_circles() -> None:
    assert circles(ROOT) == []


def test_files_have_names_that_say_something() -> None:
    folders = [ROOT / name for name in ("vae", "ui", "pages", "tests", "benchmarks", "checkpoints")]
    assert [p for folder in folders for p in folder.rglob("*.py") if p.name in VAGUE] == []


@pytest.mark.parametrize(
    ("name", "source", "complaint"),
    [
        ("vae/model.py", "import streamlit as st", "vae/model.py imports streamlit"),
        ("vae/train.py", "def f():\n    from ui.jobs import start", "vae/train.py imports ui"),
        ("vae/deep/er.py", "import dask.distributed", "vae/deep/er.py imports dask"),
        ("vae/nn.py", "from . import model", "vae/nn.py imports vae"),
        ("vae/bounds.py", "from vae.model import VAE", "vae/bounds.py imports vae"),
        ("vae/model.py", "import torchvision.ops", "vae/model.py imports torchvision"),
        ("ui/figures.py", "from torch import Tensor", "ui/figures.py imports torch"),
        ("ui/main.py", "from distributed import Client", "ui/main.py imports distributed"),
        ("ui/main.py", "__import__('pages.em')", "ui/main.py imports pages"),
        ("pages/em.py", "from pages import overview", "pages/em.py imports pages"),
        (
            "pages/em.py",
            "import importlib as i\ni.import_module('torch.nn')",
            "pages/em.py imports torch",
        ),
        ("app.py", "import pickle", "app.py imports pickle"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, name: str, source: str, complaint: str) -> None:
    plant(tmp_path, name, source)
    assert complaint in forbidden_imports(tmp_path)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import torch\ntorch.load('x')", "vae/x.py calls torch.load"),
        ("import torch as t\nt.load('x')", "vae/x.py calls torch.load"),
        ("from torch import load as read\nread('x')", "vae/x.py calls torch.load"),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", "vae/x.py calls numpy.load"),
        ("st.html('', unsafe_allow_javascript=True)", "with unsafe_allow_javascript"),
    ],
)
def test_a_planted_call_is_found(tmp_path: Path, source: str, complaint: str) -> None:
    plant(tmp_path, "vae/x.py", source)
    assert [found for found in forbidden_calls(tmp_path) if found.endswith(complaint)]


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    plant(tmp_path, "vae/__init__.py", "")
    plant(tmp_path, "vae/a.py", "from vae import b")
    plant(tmp_path, "vae/b.py", "from vae.c import name")
    plant(tmp_path, "vae/c.py", "from .a import name")
    plant(tmp_path, "vae/d.py", "import vae.a")
    assert set(circles(tmp_path)) == {"vae.a", "vae.b", "vae.c"}


def test_what_is_allowed_is_not_complained_about(tmp_path: Path) -> None:
    plant(tmp_path, "vae/downloads.py", "import numpy as np, torchvision\nnp.load('x')")
    plant(tmp_path, "vae/train.py", "from vae import data\nnp.load('x', allow_pickle=False)")
    plant(tmp_path, "ui/jobs.py", "from distributed import Client\nfrom vae import train")
    plant(tmp_path, "pages/em.py", "import streamlit as st\nfrom ui import cache")
    assert forbidden_imports(tmp_path) == forbidden_calls(tmp_path) == circles(tmp_path) == []


def plant(root: Path, name: str, source: str) -> None:
    """Writes one source file of an imagined product."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(source, "utf-8")
