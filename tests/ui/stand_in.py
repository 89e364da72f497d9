"""What workers run in test_jobs.py in place of the real work: jobs that obey the folder."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import sklearn.datasets  # noqa: F401  it takes seconds, which no test shall wait for
import torch

from vae import analysis, runs


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


def analyse(run_id: str, request_json: str) -> None:
    """An analysis whose arrays are there as soon as the folder has ``release-`` and its stem."""

    def compute(run, request, report):
        began = {"stem": request.stem, "time": time.monotonic(), "pid": os.getpid()}
        with open(runs.folder(run_id) / "analysed.jsonl", "a") as file:
            file.write(json.dumps(began) + "\n")
        while not (runs.folder(run_id) / f"release-{request.stem}").exists():
            report("holding", 0.5)
            time.sleep(0.01)
        return {"epoch": np.array(run.epoch)}

    analysis._compute = compute
    analysis.perform(run_id, request_json)
