"""The remedy acts only where torchvision's library does not load; each case in a fresh process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def run(code: str, *folders: Path) -> str:
    """What the code prints in a process of its own that sees these folders first."""
    path = os.pathsep.join(map(str, (*folders, REPOSITORY)))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def fake_torchvision(folder: Path, library: Path | bytes | None) -> Path:
    """A package called torchvision with this file as its compiled library."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("")
    if isinstance(library, bytes):
        (package / "_C.so").write_bytes(library)
    elif library:
        shutil.copy(library, package / "_C.so")
    return folder


MEND = """
import torch
from vae import torchvision_remedy
print(torchvision_remedy.mend(), torchvision_remedy.mend(), hasattr(torch.ops.torchvision, "nms"))
"""


def test_the_installed_torchvision_imports_after_it():
    code = MEND + "from torchvision import datasets, transforms\nprint(datasets.MNIST.__name__)"
    assert run(code).splitlines()[-1] == "MNIST"


def test_a_library_that_does_not_load_is_mended_once(tmp_path):
    assert run(MEND, fake_torchvision(tmp_path, b"no library")) == "True False True\n"


def test_a_missing_library_is_mended(tmp_path):
    assert run(MEND, fake_torchvision(tmp_path, None)) == "True False True\n"


def test_nothing_is_done_where_the_library_loads(tmp_path):
    loads = Path(find_spec("torch._C").origin)  # any compiled library that loads beside torch
    assert run(MEND, fake_torchvision(tmp_path, loads)) == "False False False\n"


def test_nothing_is_done_after_the_import(tmp_path):
    folder = fake_torchvision(tmp_path, b"no library")
    assert run("import torchvision" + MEND, folder) == "False False False\n"


def test_nothing_is_done_without_torchvision():
    code = "import importlib.util as u\nu.find_spec = lambda name: None" + MEND
    assert run(code) == "False False False\n"
