"""A group of simulated subjects, from recordings to clusters: what went in is known.

python examples/group_statistics.py

Twelve subjects see two conditions. In the first a burst of beta (20 Hz) appears 0.3 to 0.6 s
after the trigger at one place of a 4 x 4 grid of electrodes, weaker at its neighbours. Spectra
over time are averaged over trials for each subject and compared within subjects. The table of
clusters tells where, when and at which frequencies the conditions differ; pictures show it.
"""

import argparse

import numpy as np

import rayspy as spy

RATE, N_SAMPLES, OFFSET, SIDE = 200, 240, -60, 4
CHANNELS = [f"E{row}{column}" for row in range(SIDE) for column in range(SIDE)]
POSITIONS = np.array([[row, column] for row in range(SIDE) for column in range(SIDE)], dtype=float)
SOURCE = "E12"
BURST = (0.3, 0.6)
FREQUENCY = 20.0


def recording(subject, burst, n_trials):
    """Pink-like noise in every trial; with `burst` an oscillation of random phase near the source."""
    rng = np.random.default_rng([subject, burst])
    noise = rng.standard_normal((n_trials, N_SAMPLES, len(CHANNELS)))
    noise = 0.3 * np.cumsum(noise, axis=1) * np.exp(-0.01 * np.arange(N_SAMPLES))[:, None] + noise
    if burst:
        time = (np.arange(N_SAMPLES) + OFFSET) / RATE
        window = np.where((time >= BURST[0]) & (time < BURST[1]), 1.0, 0.0)
        apart = np.abs(POSITIONS - POSITIONS[CHANNELS.index(SOURCE)]).sum(axis=1)
        strength = (0.7 + 0.2 * rng.standard_normal()) * np.exp(-1.5 * apart)
        phase = rng.uniform(0, 2 * np.pi, (n_trials, 1))
        wave = window * np.cos(2 * np.pi * FREQUENCY * time + phase)
        noise += wave[:, :, None] * strength
    starts = N_SAMPLES * np.arange(n_trials)
    trl = np.column_stack([starts, starts + N_SAMPLES, np.full(n_trials, OFFSET)])
    array = noise.reshape(-1, len(CHANNELS)).astype(np.float32)
    return spy.AnalogData(array, samplerate=RATE, channel=CHANNELS, trialdefinition=trl)


def power(subject, burst, n_trials):
    """Power of one subject in one condition, averaged over trials, in decibels."""
    spectra = spy.freqanalysis(
        recording(subject, burst, n_trials), method="mtmconvol", t_ftimwin=0.2, taper="hann",
        toi=np.arange(-0.2, 0.8, 0.05), foi=np.arange(5.0, 45.0, 5.0), keeptrials=False,
    )  # fmt: skip
    decibels = 10 * np.log10(spectra.data[()])
    return spy.SpectralData(
        decibels, samplerate=spectra.samplerate, trialdefinition=spectra.trialdefinition,
        channel=CHANNELS, freq=list(spectra.freq),
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--pictures", default="group_statistics")
    args = parser.parse_args()
    spy.set_loglevel("WARNING")

    with_burst = [power(k, True, args.trials) for k in range(args.subjects)]
    without = [power(k, False, args.trials) for k in range(args.subjects)]
    result = spy.freqstatistics(
        with_burst, without, design="within", correctm="cluster", numrandomization=args.permutations,
        neighbours=spy.neighbours_from_positions(POSITIONS, CHANNELS, distance=1.0),
    )  # fmt: skip
    print(result)
    print(result.clusters.drop(columns="channel").head(3).T.to_string())
    print(f"what went in: {SOURCE}, {BURST[0]:g} to {BURST[1]:g} s, {FREQUENCY:g} Hz")

    fig, _ = result.multipanelplot()
    fig.savefig(f"{args.pictures}_channels.png", dpi=120)
    fig, _ = result.singlepanelplot(channel=SOURCE)
    fig.savefig(f"{args.pictures}_source.png", dpi=120)


if __name__ == "__main__":
    main()
