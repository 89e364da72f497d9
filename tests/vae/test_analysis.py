"""Analyses in a folder: found by what was asked of which weights, and every trouble said."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from filelock import FileLock

from vae import analysis, data, results, runs
from vae.files import write_tensors
from vae.requests import KINDS, Evidence, Gaps, History, RequestError, read_request

ASK = Evidence(n=3, k=20)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed, by an analysis that takes no time: two arrays, one of them a number."""
    calls: list[str] = []

    def compute(run, request, report):
        report("counting", 0.5)
        calls.append(request.stem)
        return {"elbo": np.arange(3.0), "epoch": np.array(run.epoch)}

    monkeypatch.setattr(analysis, "_compute", compute)
    return calls


def perform(run_id: str, ask=ASK) -> None:
    analysis.perform(run_id, ask.model_dump_json())


def files(run_id: str) -> set[str]:
    return {path.suffix for path in (runs.folder(run_id) / "analysis").iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_survives_its_json(kind: str) -> None:
    ask = KINDS[kind](seed=3)
    assert read_request(ask.model_dump_json()) == ask


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "JSON object"),
        ("[1]", "JSON object"),
        ('{"kind": "nothing"}', "kind one of evidence"),
        ('{"kind": "evidence", "n": 0}', "n must be at least 1"),
        ('{"kind": "evidence", "n": 100000, "k": 100000}', "too many"),
        ('{"kind": "evidence", "samples": 5}', "samples: there is no such field"),
        ('{"kind": "gaps", "families": ["full", "full"]}', "once"),
        ('{"kind": "history", "epoch": 3}', "epoch"),
    ],
)
def test_a_request_that_makes_no_sense(text: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        read_request(text)


def test_a_result_is_computed_once_and_found_again(trained, computed) -> None:
    assert results.read(trained[2], ASK) is None
    perform(trained[2])
    perform(trained[2])
    found = results.read(trained[2], ASK)
    assert len(computed) == 1 and files(trained[2]) == {".safetensors"}
    np.testing.assert_array_equal(found["elbo"], [0, 1, 2])
    assert found["elbo"].dtype == np.float64 and found["epoch"].shape == ()
    assert results.progress(trained[2], ASK) is None


def test_the_notes_say_what_was_asked_of_what(trained, computed) -> None:
    from vae.files import read_tensors

    perform(trained[2])
    (path,) = (runs.folder(trained[2]) / "analysis").glob("*.safetensors")
    notes = read_tensors(path)[1]
    assert read_request(notes["request"]) == ASK
    assert (notes["dataset"], notes["epoch"], notes["run"]) == ("digits", "3", trained[2])


def test_another_request_checkpoint_or_format_has_another_key(trained, monkeypatch) -> None:
    run = runs.load(trained[2])
    keys = [results.key(run, ask) for ask in (ASK, Evidence(n=4, k=20), History(), Gaps())]
    monkeypatch.setattr(Evidence, "version", 2)
    keys.append(results.key(run, ASK))
    monkeypatch.undo()
    with torch.no_grad():
        run.model.decoder[0][0].bias[0] += 1e-6
    keys.append(results.key(run, ASK))
    assert len(set(keys)) == len(keys)


def test_the_key_changes_with_the_data(trained, monkeypatch) -> None:
    run = runs.load(trained[2])
    before = results.key(run, ASK)
    others = data.load("shapes")
    monkeypatch.setattr(data, "at_hand", lambda name: others)
    assert results.key(run, ASK) != before


def test_newer_weights_replace_the_result_of_older_ones(trained, computed) -> None:
    perform(trained[2])
    run = runs.load(trained[2])
    with torch.no_grad():
        run.model.decoder[0][0].bias[0] += 1
    tensors = {f"model.{k}": t for k, t in run.model.state_dict().items()}
    write_tensors(runs.folder(run.id) / "model.safetensors", tensors, {"epoch": "4"})
    assert results.read(run.id, ASK) is None
    assert results.earlier(run.id, ASK)["epoch"] == 3
    perform(run.id)
    assert results.read(run.id, ASK)["epoch"] == results.earlier(run.id, ASK)["epoch"] == 4
    assert len(list((runs.folder(run.id) / "analysis").iterdir())) == 1


def test_a_damaged_result_is_made_anew(trained, computed) -> None:
    perform(trained[2])
    (path,) = (runs.folder(trained[2]) / "analysis").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    assert results.read(trained[2], ASK) is None and results.earlier(trained[2], ASK) is None
    perform(trained[2])
    assert len(computed) == 2 and results.read(trained[2], ASK) is not None


def test_a_folder_that_may_not_be_written_has_a_stand_in(
    trained, computed, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("VAE_DATA", str(tmp_path))
    beside = runs.folder(trained[2]) / "analysis"
    writable = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != beside and writable(path, mode))
    perform(trained[2])
    assert results.read(trained[2], ASK) is not None
    assert list(beside.iterdir()) == []
    assert len(list((tmp_path / "analysis" / trained[2]).iterdir())) == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("The grid is too fine."), "The grid is too fine."),
        (data.DataError("No data."), "No data."),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "enough memory"),
        (OSError(28, "No space left on device"), "disk is full"),
    ],
)
def test_expected_trouble_is_a_sentence(trained, monkeypatch, error, sentence) -> None:
    def compute(run, request, report):
        report("counting", 0.5)
        raise error

    monkeypatch.setattr(analysis, "_compute", compute)
    perform(trained[2])
    failed = results.progress(trained[2], ASK)
    assert failed.state == "failed" and sentence in failed.reason
    assert failed.key == results.key(runs.load(trained[2]), ASK)
    results.forget(trained[2], ASK)
    assert results.progress(trained[2], ASK) is None


def test_unexpected_trouble_is_said_and_raised(trained, monkeypatch) -> None:
    monkeypatch.setattr(analysis, "_compute", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        perform(trained[2])
    assert "ZeroDivisionError" in results.progress(trained[2], ASK).reason


def test_progress_is_seen_and_cancelled(trained, monkeypatch) -> None:
    seen = []

    def compute(run, request, report):
        report("counting", 0.25)
        seen.append(results.progress(run.id, request))
        results.cancel(run.id, request)
        report("counting more", 0.5)

    monkeypatch.setattr(analysis, "_compute", compute)
    perform(trained[2])
    assert seen[0].state == "running" and (seen[0].what, seen[0].share) == ("counting", 0.25)
    assert results.progress(trained[2], ASK).reason == results.CANCELLED
    assert files(trained[2]) == {".json"}


def test_what_a_dead_server_left_counts_as_absent(trained) -> None:
    home = results.home(trained[2])
    left = results.Progress("running", "key", 0.5, "counting")
    (home / f"{ASK.stem}.json").write_text(json.dumps(left._asdict()))
    assert results.progress(trained[2], ASK) is None
    (home / f"{ASK.stem}.lock").touch()  # as a killed process leaves it
    assert results.progress(trained[2], ASK) is None
    with FileLock(home / f"{ASK.stem}.lock"):
        assert results.progress(trained[2], ASK).share == 0.5
        results.abandon(trained[2], ASK, "It died.")
        assert results.progress(trained[2], ASK).state == "running"
    results.abandon(trained[2], ASK, "It died.")
    assert results.progress(trained[2], ASK)[:2] == ("failed", "key")


@pytest.mark.parametrize("text", ["{", "[]", '{"state": "running", "share": "a"}', "{}"])
def test_a_damaged_progress_file_counts_as_absent(trained, text) -> None:
    (results.home(trained[2]) / f"{ASK.stem}.json").write_text(text)
    with FileLock(results.home(trained[2]) / f"{ASK.stem}.lock"):
        assert results.progress(trained[2], ASK) is None


def test_two_do_not_compute_the_same(trained, computed, monkeypatch) -> None:
    monkeypatch.setattr(analysis, "PATIENCE", 0.0)
    with FileLock(results.home(trained[2]) / f"{ASK.stem}.lock"):
        perform(trained[2])
    assert computed == []


def test_a_run_deleted_meanwhile_ends_quietly(trained, monkeypatch) -> None:
    def compute(run, request, report):
        runs.delete(run.id)
        report("counting", 0.5)

    monkeypatch.setattr(analysis, "_compute", compute)
    perform(trained[2])
    assert trained[2] not in runs.ids() and not (runs.root() / trained[2]).exists()
    perform(trained[2])
    with pytest.raises(runs.RunError):
        results.read(trained[2], ASK)
