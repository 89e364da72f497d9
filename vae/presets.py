"""Configurations with a name: the shipped runs, and what the sidebar offers first."""

from __future__ import annotations

from vae.config import RunConfig

#: A VQ-VAE that trains in half a minute, with more codes than it finds use for by itself: its kin
#: show what each trick of training is for.
DIGITS_VQ = RunConfig(
    name="digits-vq",
    model="vq-vae",
    dataset="digits",
    hidden=(64, 64),
    latent_dim=64,
    n_codes=256,
    map_side=2,
    epochs=100,
    batch_size=64,
    schedule="cosine",
    evaluate_every=4,
)


def _digits_vq(name: str, **changes: object) -> RunConfig:
    """The same with some settings changed."""
    return DIGITS_VQ.model_copy(update={"name": name, **changes})


#: Configurations with a name: the shipped runs, and what the sidebar offers first.
PRESETS: dict[str, RunConfig] = {
    "digits-2d": RunConfig(
        name="digits-2d",
        dataset="digits",
        hidden=(256, 128),
        epochs=200,
        batch_size=64,
        schedule="cosine",
        evaluate_every=2,
    ),
    "mnist-subset-2d": RunConfig(name="mnist-subset-2d", hidden=(400,), epochs=30),
    "shapes-2d": RunConfig(name="shapes-2d", dataset="shapes", hidden=(400,), epochs=30),
    "digits-linear-2d": RunConfig(
        name="digits-linear-2d",
        dataset="digits",
        binarisation="none",
        body="linear",
        hidden=(),
        family="full",
        likelihood="gaussian",
        epochs=100,
        batch_size=64,
        learning_rate=1e-2,
        schedule="cosine",
        evaluate_every=2,
    ),
    "digits-conditional-2d": RunConfig(
        name="digits-conditional-2d",
        dataset="digits",
        hidden=(256, 128),
        conditional=True,
        epochs=200,
        batch_size=64,
        schedule="cosine",
        evaluate_every=2,
    ),
    "mnist-2d": RunConfig(
        name="mnist-2d",
        dataset="mnist",
        hidden=(400, 200),
        epochs=200,
        schedule="cosine",
        evaluate_every=2,
    ),
    "mnist-2d-conv": RunConfig(
        name="mnist-2d-conv",
        dataset="mnist",
        body="conv",
        hidden=(16, 32, 256),
        epochs=60,
        schedule="cosine",
    ),
    "mnist-50d": RunConfig(
        name="mnist-50d",
        dataset="mnist",
        hidden=(200, 200),
        activation="tanh",
        latent_dim=50,
        epochs=200,
        schedule="cosine",
        evaluate_every=2,
    ),
    "mnist-vq": RunConfig(
        name="mnist-vq",
        model="vq-vae",
        dataset="mnist",
        body="conv",
        hidden=(16, 32, 64),
        latent_dim=16,
        n_codes=128,
        map_side=7,
        epochs=30,
        schedule="cosine",
        prior_epochs=12,
    ),
    "mnist-vq-2d": RunConfig(
        name="mnist-vq-2d",
        model="vq-vae",
        dataset="mnist",
        hidden=(128, 64),
        latent_dim=2,
        n_codes=128,
        map_side=1,
        epochs=100,
        schedule="cosine",
        evaluate_every=2,
        prior_epochs=2,
    ),
    "digits-vq": DIGITS_VQ.model_copy(update={"prior_epochs": 40}),
    "digits-vq-no-revival": _digits_vq("digits-vq-no-revival", revival=False),
    "digits-vq-no-kmeans": _digits_vq("digits-vq-no-kmeans", kmeans_init=False),
    "digits-vq-bare": _digits_vq("digits-vq-bare", revival=False, kmeans_init=False),
    "digits-vq-loss": _digits_vq(
        "digits-vq-loss", revival=False, kmeans_init=False, codebook="loss"
    ),
    "digits-vq-rotation": _digits_vq(
        "digits-vq-rotation", revival=False, kmeans_init=False, through="rotation"
    ),
    "digits-vq-residual": _digits_vq("digits-vq-residual", levels=3, n_codes=32, latent_dim=8),
}
