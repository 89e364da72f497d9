"""What other tools get: read back, and compared with the library."""

from __future__ import annotations

import runpy
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from vae import data, export, families, latent, runs
from vae.__main__ import main
from vae.config import RunConfig
from vae.evaluate import examples, labels_of
from vae.model import VAE
from vae.runs import Run
from vae.standalone import script

GREY = {"binarisation": "none", "likelihood": "gaussian"}
CONFIGS = {
    "mlp": {"hidden": (12, 8)},
    "conv": {"body": "conv", "hidden": (3, 4, 8), "activation": "tanh"},
    "continuous": {"binarisation": "none", "likelihood": "continuous-bernoulli"},
    "gaussian": {**GREY, "latent_dim": 3},
    "one-dimension": {"latent_dim": 1},
    "points": {**GREY, "dataset": "pinwheel"},
    "full": {"family": "full", "latent_dim": 3},
    "linear": {**GREY, "body": "linear", "hidden": (), "family": "full"},
}
TOLD = {
    "told": {"hidden": (12, 8), "conditional": True},
    "told-conv": {**CONFIGS["conv"], "conditional": True},
    "told-points": {**CONFIGS["points"], "family": "full", "conditional": True},
}


def make(kind: str) -> Run:
    """A run whose weights are random and far from zero, so that pictures differ."""
    config = RunConfig(
        **{"dataset": "digits", "hidden": (8,), "name": '"""', **(CONFIGS | TOLD)[kind]}
    )
    torch.manual_seed(1)
    model = VAE(config)
    for parameter in model.parameters():
        parameter.data.mul_(3)
    for name in ("encoder", "decoder") if config.conditional else ():
        torch.nn.init.normal_(getattr(model, name).shift)
    return Run("digits-2d-0a1b", config, model.eval().requires_grad_(False), epoch=4)


def events(path: Path) -> list[Event]:
    """The records of a TensorBoard file: length, its checksum, content, its checksum."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def test_tensorboard(trained: dict[int, str], tmp_path: Path) -> None:
    for _ in range(2):  # the second export replaces the first
        main(["export", trained[5], "--to", "tensorboard", "--out", str(tmp_path)])
    (path,) = tmp_path.iterdir()
    found = [
        (event.step, v.tag, v.simple_value) for event in events(path) for v in event.summary.value
    ]
    for record in runs.metrics(trained[5]):
        scalars = {tag: value for step, tag, value in found if step == record["step"]}
        assert scalars["epoch"] == record["epoch"]
        for split in ("train", "held_out"):
            assert scalars[f"elbo/{split}"] == pytest.approx(record[split]["elbo"], rel=1e-6)
        assert scalars["rate_z5/train"] == pytest.approx(record["train"]["rates"][4], rel=1e-6)
    seconds = [event.wall_time for event in events(path)[1:]]
    assert seconds == sorted(seconds)


def test_nothing_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = runs.create(RunConfig(dataset="digits"))
    with pytest.raises(export.ExportError, match="no curves yet"):
        export.tensorboard(Run(run_id, RunConfig(), VAE(RunConfig()), 0), tmp_path)


def test_projector(trained: dict[int, str], tmp_path: Path) -> None:
    assert main(["export", trained[5], "--to", "projector", "--out", str(tmp_path)]) == 0
    run, digits = runs.load(trained[5]), data.load("digits")
    encoded = latent.encode_set(run.model, examples(run.config))
    vectors = np.loadtxt(tmp_path / "vectors.tsv", delimiter="\t")
    np.testing.assert_allclose(vectors, encoded.loc, rtol=1e-5)
    head, *rows = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert head == "index\tlabel\trate\telbo" and len(rows) == len(vectors)
    assert [row.split("\t")[1] for row in rows] == [str(n) for n in digits.held_out_labels]
    sprite = np.asarray(Image.open(tmp_path / "sprite.png"))
    assert sprite.shape == (19 * 8, 19 * 8)  # 360 pictures in a square of 361
    np.testing.assert_array_equal(sprite[8:16, 16:24], digits.held_out[19 + 2, 0])
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert all(path.name in config for path in tmp_path.iterdir() if path.suffix != ".pbtxt")


def test_points_have_no_sprite(tmp_path: Path) -> None:
    names = [path.name for path in export.projector(make("points"), tmp_path)]
    assert names == ["vectors.tsv", "metadata.tsv", "projector_config.pbtxt"]
    assert "sprite" not in (tmp_path / "projector_config.pbtxt").read_text()


@pytest.mark.parametrize("kind", ["conv", "points"])
def test_onnx(kind: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    run = make(kind)
    (path,) = export.onnx(run, tmp_path)
    onnx.checker.check_model(path)
    z = torch.randn(7, run.config.latent_dim)
    (mean,) = ReferenceEvaluator(str(path)).run(None, {"z": z.numpy()})
    np.testing.assert_allclose(mean, run.model.decode(z).mean, atol=1e-5)


def test_onnx_of_a_conditional_run_takes_labels(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    run = make("told-conv")
    (path,) = export.onnx(run, tmp_path)
    onnx.checker.check_model(path)
    z, y = torch.randn(7, 2), torch.tensor([0, 9, 3, 3, 1, 8, 2])
    (mean,) = ReferenceEvaluator(str(path)).run(None, {"z": z.numpy(), "y": y.numpy()})
    np.testing.assert_allclose(mean, run.model.given(y).decode(z).mean, atol=1e-5)


def test_onnx_names_what_to_install(
    trained: dict[int, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert main(["export", trained[2], "--to", "onnx", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "ONNX needs more packages: pip install onnx onnxscript\n"


@pytest.mark.parametrize("kind", CONFIGS)
def test_script(kind: str, tmp_path: Path) -> None:
    run = make(kind)
    script(run, tmp_path)
    if kind == "conv":  # as somebody would run it, without this project on the path
        subprocess.run([sys.executable, "-I", "model.py"], cwd=tmp_path, check=True, timeout=120)
        lines = (tmp_path / "model.py").read_text().splitlines()
        assert len(lines) < 100 and max(map(len, lines)) <= 100
    names = runpy.run_path(str(tmp_path / "model.py"), run_name="__main__")
    picture = np.asarray(Image.open(tmp_path / "grid.png")).astype(int)

    alone, x = names["load"](), examples(run.config, n=5)
    q, expected = alone.encode(x), run.model.encode(x)
    torch.testing.assert_close(q.mean, expected.mean)
    shape = q.scale_tril if run.config.family == "full" else q.scale.diag_embed()
    torch.testing.assert_close(shape @ shape.mT, families.covariance(expected))
    z = torch.randn(5, run.config.latent_dim)
    atol = 2e-3 if kind == "continuous" else 1e-5  # PyTorch's own mean is that noisy near 1/2
    torch.testing.assert_close(alone.decode(z).mean, run.model.decode(z).mean, atol=atol, rtol=1e-5)
    if kind == "points":
        assert picture.shape == (256, 256) and 0 < (picture == 255).sum() <= 225
    else:
        side = latent.nodes(15, 3.0)
        plane = latent.axes_plane(run.config.latent_dim, 0, min(1, run.config.latent_dim - 1))
        expected = latent.mosaic(latent.decoded_grid(run.model, plane, side, side)).astype(int)
        assert picture.std() > 1 and abs(picture - expected).max() <= 1  # of 255, by rounding


@pytest.mark.parametrize("kind", TOLD)
def test_script_of_a_conditional_run(kind: str, tmp_path: Path) -> None:
    run = make(kind)
    script(run, tmp_path)
    lines = (tmp_path / "model.py").read_text().splitlines()
    assert len(lines) < 130 and max(map(len, lines)) <= 100
    names = runpy.run_path(str(tmp_path / "model.py"), run_name="__main__")
    assert (tmp_path / "grid.png").exists()
    alone, x, y = names["load"](), examples(run.config, n=5), labels_of(run.config, n=5)
    told, z = run.model.given(y), torch.randn(5, 2)
    torch.testing.assert_close(alone.encode(x, y).mean, told.encode(x).mean)
    torch.testing.assert_close(alone.decode(z, y).mean, told.decode(z).mean)
    if kind != "told-points":
        side, plane = latent.nodes(15, 3.0), latent.axes_plane(2, 0, 1)
        expected = latent.mosaic(latent.decoded_grid(run.model.given(3), plane, side, side))
        grid = names["decode_grid"](alone, label=3).numpy()
        assert abs(grid.astype(int) - expected.astype(int)).max() <= 1


def test_a_flow_is_no_script(tmp_path: Path) -> None:
    config = RunConfig(dataset="digits", hidden=(8,), family="flow")
    with pytest.raises(export.ExportError, match="--to onnx"):
        script(Run("digits-2d-0a1b", config, VAE(config), epoch=4), tmp_path)
    assert not list(tmp_path.iterdir())


def test_unwritable_folder(
    trained: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["export", trained[2], "--to", "script", "--out", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err
