"""Child processes that end with this one, however it ends, and with all that they started.

The leash is the child's standard input: a pipe whose other end only the parent holds. The system
closes it when the parent ends (kill -9 too), whereupon the child clears up and kills its process
group. That works on every system, and from the child's first moment on.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class ChildrenError(Exception):
    """The child processes are not of use, in one sentence for a person."""


class Children:
    """Python modules that run as processes of their own, with a private folder and a log each."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="elbo-room-"))
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, module: str, *arguments: str, environment: Mapping[str, str], niceness: int = 0
    ) -> None:
        """Runs ``python -m module``, out of reach of Ctrl-C, able to import this project."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with open(self.folder / f"{len(self._processes)}.log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ui.leash", str(self.folder), module, *arguments],
                env=os.environ | environment | {"PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        self._processes.append(process)
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)

    def alive(self) -> bool:
        """Whether all that were started are there."""
        return all(process.poll() is None for process in self._processes)

    def wait_for(
        self, ready: Callable[[], bool], seconds: float, given_up: threading.Event
    ) -> None:
        """Waits for something that the processes bring about.

        Raises:
            ChildrenError: If one of them ends, time runs out, or nobody waits for it any more.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if given_up.is_set():
                raise ChildrenError("They are no longer needed.")
            if not self.alive():
                texts = [log.read_text(errors="replace") for log in self.folder.glob("*.log")]
                last = " ".join(text.strip().splitlines()[-1] for text in texts if text.strip())
                raise ChildrenError(f"{last:.300}")
            if time.monotonic() > deadline:
                raise ChildrenError(f"They are not ready after {seconds:.0f} seconds.")
            time.sleep(0.05)

    def end(self) -> None:
        """Lets go of the leashes, and returns when the processes have ended."""
        for process in self._processes:
            process.stdin.close()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _become() -> None:
    """The child's side: watches the leash and becomes the module."""
    folder = sys.argv[1]
    threading.Thread(target=_end_with_parent, args=(folder,), name="leash", daemon=True).start()
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent(folder: str) -> None:
    """Waits for the pipe to close, then removes the folder and kills this process and its group."""
    while os.read(0, 1024):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    _become()
