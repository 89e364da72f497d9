"""Lets ``import torchvision`` work where its compiled library cannot load.

The Linux wheel of torchvision on PyPI is built for CUDA. Beside a CPU build of PyTorch its
library ``_C`` does not load, the operators in it are never declared, and the import ends in
``operator torchvision::nms does not exist``. The data sets need none of these operators: it is
enough that the two schemas which the import looks up are declared, without a body.

A failed import leaves half a package behind, so this module decides *before* the import, by
trying to load the library just as torchvision would. Where it loads, nothing is done.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch


def mend() -> bool:
    """Declares the schemas that ``import torchvision`` looks up, if its library cannot load.

    Call it before the import; calling it again does nothing. Detection operators called
    afterwards still fail, with PyTorch's own message: they have no body here.

    Returns:
        Whether the schemas had to be declared.

    Source:
        ``torchvision/extension.py`` and ``torchvision/_meta_registrations.py``, release 0.28.
    """
    if "torchvision" in sys.modules or hasattr(torch.ops.torchvision, "nms"):
        return False
    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None or _library_loads(Path(package.origin).parent):
        return False
    for operator in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{operator}",
            "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        )
    return True


def health() -> str:
    """Whether the data sets of torchvision can be used here, in a few words.

    Returns:
        What is the matter with it all the same; empty if nothing is.

    Raises:
        ImportError: If torchvision is missing, or does not import even so.
    """
    mend()
    import torchvision.datasets

    loads = _library_loads(Path(torchvision.__file__).parent)
    return "" if loads else "its compiled library does not load, which the data sets do not need"


def _library_loads(folder: Path) -> bool:
    """Whether the compiled library of the torchvision in this folder is there and loads."""
    for suffix in EXTENSION_SUFFIXES:
        library = folder / f"_C{suffix}"
        if library.exists():
            try:
                ctypes.CDLL(str(library))
            except OSError:
                return False
            return True
    return False
