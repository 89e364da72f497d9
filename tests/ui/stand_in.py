"""What workers run in test_jobs.py in place of ``vae.train``: two jobs that obey the folder."""

from __future__ import annotations

import json
import os
import time

import torch

from vae import runs


def hold(run_id: str) -> None:
    """Says when and where it began, and finishes as soon as the folder has a file ``release``."""
    now = time.monotonic()
    runs.folder(run_id)  # raises if the run was deleted; a lock would make the folder anew
    with runs.lock(run_id):
        runs.set_status(run_id, "running")
        began = {
            "time": now,
            "pid": os.getpid(),
            "threads": torch.get_num_threads(),
            "niceness": os.nice(0) if hasattr(os, "nice") else 10,
            "wait_policy": os.environ.get("OMP_WAIT_POLICY"),
            "trim_threshold": os.environ.get("MALLOC_TRIM_THRESHOLD_"),
        }
        with open(runs.folder(run_id) / "began.jsonl", "a") as file:
            file.write(json.dumps(began) + "\n")
        while not (runs.folder(run_id) / "release").exists():
            time.sleep(0.01)
        runs.set_status(run_id, "finished")


def trip(run_id: str) -> None:
    """Raises what nobody expected."""
    raise ZeroDivisionError(run_id)
