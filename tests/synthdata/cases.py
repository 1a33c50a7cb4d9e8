"""Calls whose numbers are compared with those of Syncopy 2023.9.

To make the reference arrays anew, run this file with a Python that has
Syncopy: ``python cases.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

REFERENCE = Path(__file__).with_name("syncopy_2023_9.npz")
NETWORK = np.array([[0, 0.2, 0], [0, 0, 0.15], [0.1, 0, 0]])

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "white": ("white_noise", {"nSamples": 50, "nChannels": 3, "nTrials": 4, "seed": 11}),
    "white_same": ("white_noise", {"nSamples": 20, "nTrials": 3, "seed": 5, "seed_per_trial": False}),
    "trend": ("linear_trend", {"y_max": 3.7, "nSamples": 30, "nChannels": 2, "nTrials": 2}),
    "harmonic": (
        "harmonic",
        {"freq": 33.3, "samplerate": 700, "nSamples": 200, "nChannels": 2, "nTrials": 2},
    ),
    "diffusion": ("phase_diffusion", {"freq": 60, "eps": 0.2, "nSamples": 300, "nTrials": 3, "seed": 2}),
    "diffusion_phase": (
        "phase_diffusion",
        {"freq": 40, "samplerate": 500, "nSamples": 200, "nChannels": 3, "rand_ini": True}
        | {"return_phase": True, "nTrials": 2, "seed": 9},
    ),
    "ar2": ("ar2_network", {"nSamples": 300, "nTrials": 3, "seed": 42, "samplerate": 200}),
    "ar2_three": (
        "ar2_network",
        {"AdjMat": NETWORK, "alphas": (0.5, -0.7), "nSamples": 250, "nTrials": 3, "seed": 7},
    ),
    "red": ("red_noise", {"alpha": 0.9, "nSamples": 250, "nChannels": 3, "nTrials": 3, "seed": 3}),
}

SINGLE: dict[str, tuple[str, dict[str, Any]]] = {
    f"{name}_single": (function, {**settings, "nTrials": None})
    for name, (function, settings) in CASES.items()
}


def make_reference() -> None:
    """Store what Syncopy gives."""
    import syncopy as spy

    objects = {name: getattr(spy.synthdata, f)(**kw) for name, (f, kw) in CASES.items()}
    arrays = {name: data.data[()] for name, data in objects.items()}
    arrays |= {name: getattr(spy.synthdata, f)(**kw) for name, (f, kw) in SINGLE.items()}
    arrays["random_matrix"] = spy.synthdata.mk_RandomAdjMat(
        nChannels=6, conn_thresh=0.4, max_coupling=0.3, seed=8
    )
    np.savez_compressed(REFERENCE, **arrays)


if __name__ == "__main__":
    make_reference()
