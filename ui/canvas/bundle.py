"""Components written as ordinary ES modules, one idea a file, without a build step.

Streamlit takes a component's JavaScript as one string, so ``bundle`` joins the modules of a
component: it drops the lines that import one module from another and the word ``export`` before
all but the default export. Hence two rules for these files: an import is one line, and a name at
the top level is used once in all of them.
"""

from __future__ import annotations

import re
from pathlib import Path

_HERE = Path(__file__).parent


def bundle(*modules: str) -> str:
    """Joins modules into the one string that Streamlit wants, each after those it imports."""
    source = "\n".join(read(name) for name in modules)
    source = re.sub(r"^import .*\n", "", source, flags=re.MULTILINE)
    return re.sub(r"^export (?!default)", "", source, flags=re.MULTILINE)


def read(name: str) -> str:
    """Reads a file that lies beside this one."""
    return (_HERE / name).read_text(encoding="utf-8")
