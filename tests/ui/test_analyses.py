"""Asking for an analysis on a page: a bar while it runs, the arrays when it is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import streamlit as st
from filelock import FileLock
from streamlit.testing.v1 import AppTest

from ui import analyses, jobs
from vae import analysis, results, runs
from vae.files import write_tensors
from vae.requests import Evidence, History, Request

ASK, OTHER = Evidence(n=3, k=20), History()


class Workers:
    """In place of the executor: a queue that a test empties by hand."""

    def __init__(self) -> None:
        self.queue: list[tuple[str, Request]] = []
        self.asked = 0
        self.refusal = ""

    def analyse(self, run_id: str, request: Request) -> None:
        if self.refusal:
            raise jobs.JobsError(self.refusal)
        self.asked += 1
        self.queue.append((run_id, request))

    def analysing(self, run_id: str, request: Request) -> bool:
        return (run_id, request) in self.queue

    def withdraw(self, run_id: str, request: Request) -> bool:
        waits = (run_id, request) in self.queue
        self.queue = [job for job in self.queue if job != (run_id, request)]
        return waits

    def work(self) -> None:
        """Does the first of what waits."""
        run_id, request = self.queue.pop(0)
        analysis.perform(run_id, request.model_dump_json())


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Hand-driven workers, and an analysis that takes no time."""
    st.cache_resource.clear()  # the runs of all tests are the same, down to their keys
    hands = Workers()
    for name, method in (
        ("analyse", hands.analyse),
        ("analysing", hands.analysing),
        ("withdraw_analysis", hands.withdraw),
    ):
        monkeypatch.setattr(jobs, name, method)
    monkeypatch.setattr(
        analysis,
        "_compute",
        lambda run, *_: {"epoch": np.array(run.epoch), "elbo": np.array([1.0, 2.0])},
    )
    return hands


def page(run_id: str, *asked: str) -> None:
    """A page that asks for a few analyses and writes what it got."""
    import streamlit as st

    from ui import analyses
    from vae.requests import read_request

    for text in asked:
        found = analyses.ask(run_id, read_request(text), read_request(text).kind)
        st.write("nothing" if found is None else f"elbo {found['elbo'].sum():.0f}")


@pytest.fixture
def open_page(trained) -> Iterator[Callable[..., AppTest]]:
    """Opens the page for the small run with two dimensions."""

    def open_page(*asked: Request) -> AppTest:
        texts = [ask.model_dump_json() for ask in asked or (ASK,)]
        app = AppTest.from_function(page, default_timeout=30, args=(trained[2], *texts)).run()
        assert not app.exception, app.exception
        return app

    yield open_page


def shown(app: AppTest) -> list[str]:
    return [element.value for element in app.markdown]


def bars(app: AppTest) -> list[str]:
    return [element.proto.text for element in app.get("progress")]


def test_what_is_kept_comes_at_once(workers, open_page, trained):
    analysis.perform(trained[2], ASK.model_dump_json())
    app = open_page()
    assert shown(app) == ["elbo 3"] and workers.asked == 0 and bars(app) == []


def test_a_bar_until_the_arrays_are_there(workers, open_page):
    app = open_page()
    assert shown(app) == ["nothing"] and bars(app) == ["evidence: waiting for a free worker"]
    app.run()
    assert workers.asked == 1
    workers.work()
    app.run()
    assert shown(app) == ["elbo 3"] and bars(app) == [] and workers.asked == 1


def test_two_on_a_page(workers, open_page):
    app = open_page(ASK, OTHER)
    assert shown(app) == ["nothing", "nothing"] and len(bars(app)) == len(app.button) == 2
    workers.work()
    app.run()
    assert shown(app) == ["elbo 3", "nothing"] and len(bars(app)) == 1


def test_how_far_it_is(workers, open_page, trained):
    home = results.home(trained[2])
    now = results.Progress("running", "key", 0.25, "log p(x) on the grid", seconds=10)
    (home / f"{ASK.stem}.json").write_text(json.dumps(now._asdict()))
    with FileLock(home / f"{ASK.stem}.lock"):
        app = open_page()
        assert bars(app) == ["evidence: log p(x) on the grid, 25% · 30 s left"]
        assert workers.asked == 0  # somebody else asked
        app.button[0].click().run()
        assert (home / f"{ASK.stem}.stop").exists()


def test_cancel_takes_it_out_of_the_queue_and_try_again_puts_it_back(workers, open_page):
    app = open_page()
    (cancel,) = app.button
    assert cancel.label == "Cancel"
    cancel.click().run()
    assert workers.queue == [] and "cancelled" in app.warning[0].value
    (again,) = app.button
    assert again.label == "Try again" and bars(app) == []
    again.click().run()
    assert workers.asked == 2 and len(bars(app)) == 1


def test_a_failure_is_said_and_waits_for_a_person(workers, open_page, monkeypatch):
    def trip(*_: object) -> None:
        raise ValueError("The grid is too fine.")

    app = open_page()
    with monkeypatch.context() as patch:
        patch.setattr(analysis, "_compute", trip)
        workers.work()
    app.run()
    assert "The grid is too fine." in app.warning[0].value and workers.asked == 1
    assert "The grid is too fine." in open_page().warning[0].value and workers.asked == 1
    app.button[0].click().run()
    workers.work()
    app.run()
    assert shown(app) == ["elbo 3"] and not app.warning


def test_one_that_vanished_is_not_begun_over_and_over(workers, open_page):
    app = open_page()
    workers.queue.clear()  # a worker died before it wrote a word
    app.run()
    app.run()
    assert workers.asked == 1 and analyses.NOTHING in app.warning[0].value
    app.button[0].click().run()
    assert workers.asked == 2


def test_no_workers_is_a_sentence(workers, open_page):
    workers.refusal = "The background workers do not start."
    app = open_page()
    assert workers.refusal in app.warning[0].value and not app.exception
    workers.refusal = ""
    app.button[0].click().run()
    assert workers.asked == 1 and len(bars(app)) == 1


def test_workers_that_answer_at_once(workers, open_page, monkeypatch):
    monkeypatch.setattr(
        jobs, "analyse", lambda run_id, ask: analysis.perform(run_id, ask.model_dump_json())
    )
    assert shown(open_page()) == ["elbo 3"]


def test_a_run_that_is_gone_or_an_epoch_that_was_not_kept(workers, open_page, trained):
    assert "were not kept" in open_page(Evidence(epoch=77)).warning[0].value
    shutil.rmtree(runs.folder(trained[2]))
    app = open_page()
    assert "There is no run" in app.warning[0].value and shown(app) == ["nothing"]


def move_on(run_id: str, epoch: int) -> None:
    """Changes the weights of a run, as training does."""
    run = runs.load(run_id)
    tensors = {f"model.{name}": t + epoch for name, t in run.model.state_dict().items()}
    write_tensors(runs.folder(run_id) / "model.safetensors", tensors, {"epoch": str(epoch)})


def test_newer_weights_are_analysed_anew(workers, open_page, trained):
    analysis.perform(trained[2], ASK.model_dump_json())
    app = open_page()
    move_on(trained[2], 4)
    app.run()
    assert shown(app) == ["nothing"] and workers.asked == 1


def test_of_a_run_that_trains_the_newest_result_is_shown(workers, open_page, trained):
    analysis.perform(trained[2], ASK.model_dump_json())
    runs.set_status(trained[2], "running")
    move_on(trained[2], 4)
    app = open_page()
    assert shown(app) == ["elbo 3"] and workers.asked == 0
    assert "as of epoch 3 of a run that is still training" in app.caption[0].value
    app.button[0].click().run()  # Update
    assert shown(app) == ["nothing"] and workers.asked == 1
    workers.work()
    move_on(trained[2], 5)
    app.run()
    assert shown(app) == ["elbo 3"] and "as of epoch 4" in app.caption[0].value
