"""How subthalamic nucleus and cortex belong together: coherence, wPLI and Granger causality.

Takes the recording that comes with the examples, local field potential of the
subthalamic nucleus and ECoG of a human during a grip task, and cuts its 19
seconds into segments of one second, each of which counts as an observation. All
measures come from one pass over the data; the jackknife, from which the shaded
standard errors come, takes a second one.

    python examples/connectivity.py
    python examples/connectivity.py --segment 0.5 --output coupling.png
"""

import argparse
from pathlib import Path

import numpy as np

import rayspy as spy

RECORDING = Path(__file__).parent / "data" / "stn_ecog_grip.npz"
SMOOTHING = 3  # Hz, half bandwidth of the multitaper spectra
HIGHEST = 60  # Hz
BETA = [13, 30]  # Hz


def main():
    parser, args = parse_arguments()
    try:
        data = open_recording()
        stn = [name for name in data.channel if "LFP" in name]
        cortex = [name for name in data.channel if "ECOG" in name.upper()]
        found = analyse(data, stn, cortex, args.segment)
    except (spy.errors.RayspyError, OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    report(found)
    draw(found, args.output)
    print(f"Picture: {args.output}")


def parse_arguments():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--segment", type=float, default=1.0, metavar="S", help="length of segments (1 s)")
    parser.add_argument("--output", type=Path, default=Path("connectivity.png"), help="picture to write")
    return parser, parser.parse_args()


def open_recording():
    with np.load(RECORDING) as file:
        channel = [str(name) for name in file["channel"]]
        return spy.AnalogData(file["data"], samplerate=float(file["samplerate"]), channel=channel)


def analyse(data, stn, cortex, segment):
    """Every contact of the nucleus with every one of the cortex."""
    common = {"segments": segment, "tapsmofrq": SMOOTHING, "jackknife": True, "foilim": [2, HIGHEST]}
    pairs = [(a, b) for a in stn for b in cortex]
    measures = spy.connectivityanalysis(data, method=["coh", "wpli_debiased"], channelcmb=pairs, **common)
    both_ways = [*pairs, *((b, a) for a, b in pairs)]
    padded = {**common, "pad": 2 * segment}
    granger = spy.connectivityanalysis(data, method="granger", channelcmb=both_ways, **padded)
    return {**measures, "granger": granger}


def report(found):
    """Largest value in the beta band, with its interval."""
    print(f"{found['coh'].info['n_observations']} segments\n")
    for name, result in found.items():
        low, high = result.jack_interval(0.95)
        inside = (result.freq >= BETA[0]) & (result.freq <= BETA[1])
        values = np.where(inside[:, None], result.data[0], -np.inf)
        f, pair = np.unravel_index(values.argmax(), values.shape)
        print(
            f"{name:14s} {result.channelcmb[pair]:28s} {result.freq[f]:5.1f} Hz: {values[f, pair]:.3f} "
            f"(95 % interval {low[0, f, pair]:.3f} to {high[0, f, pair]:.3f})"
        )


def draw(found, output):
    """One panel per measure: the pair with the strongest coherence, and both ways of Granger causality."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    coherence = found["coh"]
    inside = (coherence.freq >= BETA[0]) & (coherence.freq <= BETA[1])
    best = int(coherence.data[0][inside].mean(axis=0).argmax())
    forth = str(coherence.channelcmb[best])
    back = "--".join(reversed(forth.split("--")))
    fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for ax, (name, result) in zip(axes, found.items(), strict=True):
        for label in (forth, back) if name == "granger" else (forth,):
            k = result.channelcmb.tolist().index(label)
            low, high = (limit[0, :, k] for limit in result.jack_interval(0.95))
            arrow = label.replace("--", " -> " if name == "granger" else " and ")
            (line,) = ax.plot(result.freq, result.data[0, :, k], label=arrow)
            ax.fill_between(result.freq, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
        ax.set(title=name, xlabel="frequency (Hz)")
        ax.legend(fontsize="x-small", frameon=False)
    fig.savefig(output)


if __name__ == "__main__":
    main()
