"""The curves of the training page that only VAEs have, or only VQ-VAEs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui import figures, histories, widgets


def of_vaes(records: histories.Records, by: dict[str, Any]) -> None:
    """What is recorded of latents that are numbers."""
    left, right = st.columns(2)
    with left:
        st.subheader("IWAE-64")
        histories.chart("iwae", histories.by_split(records, "iwae", by["x"]), y_title="nats", **by)
        widgets.look_for(
            "On average a tighter bound than the ELBO, with 64 draws (Burda et al. 2016); still a "
            "bound. It is taken on the first 100 data of each set only: compare how it moves, not "
            "its height, with the ELBO above. " + histories.newest(records, "iwae")
        )
    with right:
        st.subheader("Rate of each latent dimension")
        last = {name: lines[-1]["held_out"]["rates"] for name, lines in records.items()}
        st.echarts_chart(
            figures.rate_bars(last, by["runs_shown"]),
            key="rates",
            height=340,
            alt="Rate of each latent dimension, in nats",
        )
        widgets.look_for("Bars at zero are dimensions the model does not use.")
    with left:
        st.subheader("Active units")
        units = histories.values(records, by["x"], lambda line: line["held_out"]["active_units"])
        histories.chart("units", units, y_title="dimensions", y_floor=0, **by)
        widgets.look_for(
            "Dimensions that carry something: those where the variance over the data of the "
            "encoder's mean is above 0.01 (Burda et al. 2016)."
        )


def of_codes(records: histories.Records, by: dict[str, Any]) -> None:
    """What is recorded of latents that are codes."""
    st.caption(
        "Of a VQ-VAE the rate is what it costs to name the codes of an image: the number of codes "
        "times the log of the size of the codebook, a constant, until in the second stage a prior "
        "learns which codes follow on which. Only then does the rate fall, and the ELBO rise with "
        "it, while the distortion stands still."
    )
    left, right = st.columns(2)
    with left:
        st.subheader("Perplexity of the codebook")
        lines = histories.by_split(records, "perplexity", by["x"])
        histories.chart("perplexity", lines, y_title="codes", y_floor=0, **by)
        widgets.look_for(
            "exp of the entropy of how often each code is chosen, over up to 2,000 data of each "
            "set: as many codes, used evenly, would say as much. A curve that falls towards 1 is a "
            "codebook that collapses. With several levels, their mean."
        )
    with right:
        st.subheader("Codes nobody uses")
        lines = histories.by_split(records, "dead", by["x"])
        histories.chart("dead", lines, y_title="dead codes", y_floor=0, **by)
        widgets.look_for("Codes that none of these data chose: they are paid for and say nothing.")
    with left:
        st.subheader("Perplexity within a batch")
        lines = histories.by_split(records, "batch_perplexity", by["x"])
        histories.chart("batch-perplexity", lines, y_title="codes", y_floor=0, **by)
        widgets.look_for(
            "The same over one batch at a time, then averaged: usually below the first curve, "
            "since "
            "a few images need fewer kinds of patches than many do."
        )
    with right:
        st.subheader("Commitment")
        lines = histories.by_split(records, "commitment", by["x"])
        histories.chart("commitment", lines, y_title="squared distance", y_floor=0, **by)
        widgets.look_for(
            "Squared distance from what is quantised to its code, summed over an image and over "
            "levels; an FSQ lattice has no such term, and 0 stands here. Weighted by the "
            "commitment β, it is part of the loss (van den Oord et al. 2017, eq. 3, who average "
            "over the latents); where the codebook learns by loss, its term is the same number."
        )
    with left:
        st.subheader("How far codes moved")
        lines = histories.values(records, by["x"], lambda line: line["moved"])
        histories.chart("moved", lines, y_title="distance", y_floor=0, **by)
        widgets.look_for("Root mean square over the codes, since the point before.")
    with right:
        st.subheader("Codes revived")
        lines = histories.values(records, by["x"], lambda line: line["revived"])
        histories.chart("revived", lines, y_title="revivals so far", y_floor=0, **by)
        widgets.look_for(
            "How often a code that hardly anybody used was moved to where the encoder's answers "
            "are; "
            "one code may be moved many times."
        )


def schedule(records: histories.Records, by: dict[str, Any]) -> None:
    """What moves by plan."""
    left, _ = st.columns(2)
    with left:
        st.subheader("β and learning rate")
        schedule = histories.values(records, by["x"], lambda line: line["beta"], "β, ")
        largest = max(line["learning_rate"] for lines in records.values() for line in lines)
        schedule |= histories.values(
            records, by["x"], lambda line: line["learning_rate"] / largest, "learning rate, "
        )
        histories.chart(
            "schedule",
            schedule,
            y_title="β, and learning rate as a share of its top",
            y_floor=0,
            **by,
        )
        widgets.look_for("β weighs the rate in the objective only; every curve above has β = 1.")
