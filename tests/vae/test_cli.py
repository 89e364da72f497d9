"""The command line: what is printed, what is kept, and one sentence where something is wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vae import (
    analysis,
    commands,
    doctor,
    evaluate,
    linear,
    report,
    results,
    runs,
    torchvision_remedy,
    train,
)
from vae.__main__ import main
from vae.config import CONFIG_VERSION, RunConfig
from vae.presets import PRESETS
from vae.requests import Evidence

ROOT = Path(__file__).parents[2]
TINY = ("--dataset", "digits", "--hidden", "8")
COMMANDS = ("train", "resume", "list", "delete", "evaluate", "export", "doctor")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one sentence with which a command is refused."""
    capsys.readouterr()
    assert main(list(words)) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err.strip()


def test_help_explains_every_command_without_torch() -> None:
    code = (
        "import sys\nfrom vae.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.stdout.splitlines()[-1] == "False"
    assert all(f"• {command}" in answer.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0 and f"usage: python -m vae {command}" in capsys.readouterr().out


def test_the_flags_are_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--preset", "mnist-50d", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for field in RunConfig.model_fields.keys() - {"version"}:
        assert f"--{field.replace('_', '-')} " in shown.replace(",", "")
    assert "≥ 1, ≤ 128 (default: 50)" in shown


def test_flags_change_a_preset_or_a_file(
    tmp_path: Path, runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[RunConfig] = []
    monkeypatch.setattr(commands, "train", lambda config: made.append(config) or 0)
    assert main(["train"]) == 0
    assert main(["train", "--preset", "mnist-50d", "--seed", "3", "--hidden", "9", "8"]) == 0
    file = tmp_path / "config.json"
    file.write_text('{"dataset": "shapes", "latent_dim": 7}')
    assert main(["train", "--config", str(file), "--latent-dim", "3"]) == 0
    saved = runs_folder / runs.create(made[1]) / "config.json"
    assert main(["train", "--config", str(saved)]) == 0
    preset = PRESETS["mnist-50d"].model_copy(update={"seed": 3, "hidden": (9, 8)})
    assert made == [RunConfig(), preset, RunConfig(dataset="shapes", latent_dim=3), preset]
    grey = ["--likelihood", "gaussian", "--binarisation", "none", "--family", "full"]
    assert main(["train", "--dataset", "digits", "--body", "linear", "--hidden", *grey]) == 0
    linear = made[-1]
    assert (linear.body, linear.hidden, linear.family) == ("linear", (), "full")
    assert main(["train", "--preset", "digits-linear-2d", "--epochs", "3"]) == 0
    assert made[-1] == PRESETS["digits-linear-2d"].model_copy(update={"epochs": 3})


def test_wrong_fields_are_named(
    tmp_path: Path, runs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, "train", "--latent-dim", "0").startswith("latent_dim must ")
    assert "set objective to iwae" in refused(capsys, "train", "--k", "5")
    both = ("--preset", "digits-2d", "--config", "x.json")
    assert "give one of the two" in refused(capsys, "train", *both)
    file = tmp_path / "config.json"
    assert "cannot be read (No such file" in refused(capsys, "train", "--config", str(file))
    for text, sentence in {
        '{"latent_dimension": 2}': "latent_dimension: there is no such field.",
        '{"epochs": 0}': "epochs must be at least 1 (not 0).",
        "latent_dim: 2": "it is no JSON.",
        json.dumps({"version": CONFIG_VERSION + 1, "new": 1}): "newer ELBO Room",
    }.items():
        file.write_text(text)
        assert sentence in refused(capsys, "train", "--config", str(file))
    assert list(runs_folder.iterdir()) == []


@pytest.mark.parametrize("words", [["train", "--latentdim", "3"], ["train", "--k", "two"], ["fly"]])
def test_words_that_make_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    out, err = capsys.readouterr()
    assert left.value.code == 2 and out == "" and words[-2:][0] in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the run asks for")
def test_no_run_is_made_for_a_device_that_is_not_there(
    runs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "CUDA" in refused(capsys, "train", *TINY, "--device", "cuda")
    assert "parameters" in refused(capsys, "train", "--hidden", *["8000"] * 3)
    assert list(runs_folder.iterdir()) == []


def test_list(trained: dict[int, str], capsys: pytest.CaptureFixture[str]) -> None:
    damaged = runs.create(RunConfig(dataset="digits"))
    (runs.folder(damaged) / "config.json").write_text("{")
    assert main(["list"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["RUN", "STATE", "EPOCH", "DATA", "D", "HELD-OUT", "ELBO"]
    assert len(rows) == 3 and any(row.startswith(damaged) for row in rows)
    assert main(["list", "--json"]) == 0
    listed = {row["run"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed[damaged]["elbo"] is None and "damaged" in listed[damaged]["reason"]
    last = runs.metrics(trained[5])[-1]["held_out"]
    row = listed[trained[5]]
    assert (row["elbo"], row["standard_error"]) == (last["elbo"], last["elbo_se"])
    assert (row["state"], row["epoch"], row["latent_dim"]) == ("finished", 3, 5)
    assert f"{last['elbo']:.2f} ± {last['elbo_se']:.2f}" in next(r for r in rows if trained[5] in r)


def test_delete_and_resume(trained: dict[int, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing to resume" in refused(capsys, "resume", trained[2])
    assert main(["delete", trained[2]]) == 0
    assert runs.ids() == [trained[5]]
    assert "There is no run" in refused(capsys, "delete", trained[2])
    assert "There is no run" in refused(capsys, "resume", "../etc")
    assert "comes with ELBO Room" in refused(capsys, "delete", "mnist-2d")


def test_evaluate(
    trained: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = trained[2]
    assert main(["evaluate", run_id, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["n"] == 360 and whole["estimator"] == "elbo" and whole["k"] == 1
    assert main(["evaluate", run_id, "--n", "99999", "--split", "train"]) == 0
    assert "first 1,437 train data of digits" in capsys.readouterr().out
    assert main(["evaluate", run_id, "--n", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["standard_error"] is None

    assert refused(capsys, "evaluate", run_id, "--n", "0") == "n must be at least 1 (not 0)."
    assert refused(capsys, "evaluate", run_id, "--k", "-1") == "k must be at least 1 (not -1)."
    assert "at least 2 (not 1)" in refused(capsys, "evaluate", run_id, "--temperatures", "1")
    assert "were not kept" in refused(capsys, "evaluate", run_id, "--epoch", "77")
    for out in (tmp_path, tmp_path / "no" / "x.npz"):
        assert "cannot be written" in refused(capsys, "evaluate", run_id, "--out", str(out))
    assert "There is no run" in refused(capsys, "evaluate", "no-such-run")
    new = runs.create(RunConfig(dataset="digits"))
    assert "has no checkpoint yet" in refused(capsys, "evaluate", new)


@pytest.mark.parametrize(
    ("estimator", "k", "about"),
    [
        ("elbo", 30, set()),
        ("iwae", 30, {"untrusted", "ess_median"}),
        ("is", 30, {"untrusted", "ess_median"}),
        ("ais", 2, {"untrusted", "ess_median", "acceptance_median", "temperatures"}),
        ("exact", None, {"error_mean", "error_max"}),
    ],
)
def test_evaluate_keeps_values_and_errors(
    estimator: str,
    k: int | None,
    about: set[str],
    trained: dict[int, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "kept.npz"
    words = ["evaluate", trained[2], "--estimator", estimator, "--n", "4", "--temperatures", "9"]
    words += ["--k", str(k)] if k else []
    assert main([*words, "--json", "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    usual = {"run", "epoch", "dataset", "split", "estimator", "k", "n", "binarisation"}
    usual |= {"mean", "standard_error", "median"}
    assert said.keys() == usual | about and said["k"] == k
    with np.load(out) as kept:
        assert kept["x"].shape == (4, 1, 8, 8) and kept["errors"].shape == (4,)
        assert kept["values"].mean() == pytest.approx(said["mean"])
        assert ("pareto_k" in kept) == (estimator in ("iwae", "is"))
    assert main(words) == 0
    assert f"{said['mean']:.2f} ± {said['standard_error']:.2f} nats" in capsys.readouterr().out


def test_evaluate_prints_what_the_page_shows(
    trained: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = Evidence(n=20, k=100)
    analysis.perform(trained[2], ask.model_dump_json())
    page = results.read(trained[2], ask)
    names = {"elbo": ("elbo", "elbo_se"), "is": ("log_evidence_is", "is_se")}
    names |= {"exact": ("exact", "exact_error")}
    for estimator, (value, error) in names.items():
        out = tmp_path / f"{estimator}.npz"
        words = ("--estimator", estimator, "--k", "100", "--n", "20", "--out", str(out))
        assert main(["evaluate", trained[2], *words]) == 0
        with np.load(out) as kept:
            np.testing.assert_allclose(kept["values"], page[value], rtol=0, atol=1e-9)
            np.testing.assert_allclose(kept["errors"], page[error], rtol=0, atol=1e-9)
    distrusted = f"{int((~page['trusted']).sum())} of 20 values cannot be trusted"
    assert main(["evaluate", trained[2], "--estimator", "is", "--k", "100", "--n", "20"]) == 0
    assert distrusted in capsys.readouterr().out


def test_evaluate_says_what_to_use_where_nothing_is_exact(
    trained: dict[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", trained[5], "--estimator", "exact", "--n", "3"]) == 1
    assert "ask for ais or is" in capsys.readouterr().err.splitlines()[-1]


def test_evaluate_knows_the_closed_form_of_a_linear_model(
    runs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PRESETS["digits-linear-2d"].model_copy(update={"latent_dim": 4, "epochs": 1})
    run_id = runs.create(config)
    train.train(run_id)
    assert main(["evaluate", run_id, "--estimator", "exact", "--n", "5", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    truth = linear.log_evidence(runs.load(run_id).model, evaluate.examples(config, n=5))
    assert said["mean"] == pytest.approx(truth.mean().item()) and said["error_max"] == 0


def test_a_conditional_run_is_trained_and_judged_on_x_given_its_label(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", *TINY, "--conditional", "--epochs", "1"]) == 0
    run_id = capsys.readouterr().out.split()[0]
    assert "-cond-" in run_id and runs.read_config(run_id).conditional
    assert main(["evaluate", run_id, "--estimator", "exact", "--n", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["conditional"] and found["n"] == 20 and found["error_max"] < 0.1
    assert main(["evaluate", run_id, "--estimator", "iwae", "--k", "10", "--n", "20"]) == 0
    said = capsys.readouterr().out
    assert "each told its label y (so that log p(x | y) is meant), binarisation fixed" in said
    assert main(["export", run_id, "--to", "projector", "--out", str(runs.root() / "out")]) == 0


def test_evaluate_shows_a_damaged_checkpoint(
    trained: dict[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs.folder(trained[2]) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    assert main(["evaluate", trained[2], "--n", "5", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "damaged" in err and json.loads(out)["n"] == 5


def test_interrupted_evaluation(
    trained: dict[int, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report.evaluation, "evaluate", interrupted)
    assert main(["evaluate", trained[2]]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Interrupted."


def test_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torchvision_remedy, "health", lambda: "")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok    ") for line in lines)
    assert f"torch {torch.__version__}" in lines[1] and "fetched when first used" in lines[-2]

    def missing() -> str:
        raise ImportError("No module named 'torchvision'")

    (tmp_path / "file").touch()
    monkeypatch.setenv("VAE_RUNS", str(tmp_path / "file" / "runs"))
    monkeypatch.setattr(torchvision_remedy, "health", missing)
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    assert main(["doctor"]) == 1
    failed = [x for x in capsys.readouterr().out.splitlines() if x.startswith("FAIL")]
    assert (
        len(failed) == 3 and "no-such-package" in failed[0] and "runs cannot be kept" in failed[2]
    )


def test_a_vq_vae_is_judged_by_its_bound_and_its_use_of_codes(
    coded: dict[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", coded[1], "--n", "50", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    run = runs.load(coded[1])
    bound = run.model.bound(evaluate.examples(run.config, n=50))
    assert found["mean"] == pytest.approx(bound.elbo.mean().item(), abs=1e-4)
    assert found["bits_per_dim"] == pytest.approx(-found["mean"] / (64 * math.log(2)))
    assert found["uniform"] == pytest.approx(
        -bound.distortion.mean().item() - 4 * math.log(16), abs=1e-4
    )
    assert main(["evaluate", coded[1], "--n", "50"]) == 0
    said = capsys.readouterr().out
    assert "bits per dimension" in said and "of 16 codes" in said.lower() and "k =" not in said
    assert main(["evaluate", coded[1], "--estimator", "iwae", "--n", "5"]) == 1
    assert "nothing to draw" in capsys.readouterr().err
    assert main(["evaluate", coded[1], "--estimator", "exact", "--n", "5"]) == 1
    assert "exact values need a map of 1 × 1" in capsys.readouterr().err
    assert main(["export", coded[1], "--to", "onnx"]) == 1
    assert "is a VQ-VAE" in capsys.readouterr().err


def test_a_vq_vae_goes_to_tensorboard(
    coded: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", coded[2], "--to", "tensorboard", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip().endswith(".elbo-room")
    assert main(["list"]) == 0 and coded[2] in capsys.readouterr().out
