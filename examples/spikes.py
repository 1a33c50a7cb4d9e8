"""Spikes and fields: an auditory receptor of a grasshopper, and a simulated cell that is locked to a rhythm.

Draws two pictures into the working directory:  python examples/spikes.py
"""

from pathlib import Path

import numpy as np

import rayspy as spy


def grasshopper():
    """Sound, the receptor's spikes in ten trials of a second, and both on one clock."""
    with np.load(Path(__file__).parent / "data" / "grasshopper.npz") as file:
        times, stimulus = file["spike_times"] / 1e6, file["stimulus"]
    seconds = np.arange(10)
    sound = spy.AnalogData(stimulus[:, None], samplerate=1000, channel=["sound"])
    sound.trialdefinition = np.column_stack([seconds, seconds + 1, 0 * seconds]) * 1000.0
    spikes = spy.spikes_from_times({"receptor": times}, samplerate=10_000)
    spikes.trialdefinition = np.column_stack([seconds, seconds + 1, 0 * seconds]) * 10_000.0
    return sound, spikes


def locked_pair(n_trials=60, samplerate=1000):
    """A 40 Hz rhythm in noise, a cell that follows it, and one that does not."""
    rng = np.random.default_rng(1)
    t = np.arange(samplerate) / samplerate
    waves = [np.cos(2 * np.pi * 40 * t + rng.uniform(0, 2 * np.pi)) for _ in range(n_trials)]
    field = spy.AnalogData(
        [np.column_stack([w, 0 * w]) + rng.normal(0, 1, (len(t), 2)) for w in waves],
        samplerate=samplerate,
        channel=["rhythm", "noise"],
    )
    rates = {"locked": [0.02 * (1 + 0.8 * w) for w in waves], "free": [np.full(len(t), 0.05)] * n_trials}
    trains = {
        name: np.flatnonzero(rng.random(len(t) * n_trials) < np.concatenate(rate))
        for name, rate in rates.items()
    }
    spikes = spy.spikes_from_times(
        trains, samplerate, time_unit="samples", trialdefinition=field.trialdefinition
    )
    return field, spikes


def draw_receptor(sound, spikes, path):
    """Raster, intervals, average of the sound around spikes, coherence with it."""
    import matplotlib.pyplot as plt

    raster, _ = spikes.singlepanelplot(unit="receptor")
    raster.savefig(path.with_name("receptor_raster.png"))
    intervals = spy.spike_isi(spikes, bins=np.arange(41) * 0.001)
    average = spy.spiketriggeredaverage(sound, spikes, timwin=[-0.04, 0.02])
    coherence = spy.spikefieldcoherence(sound, spikes, foilim=[0, 300], tapsmofrq=8)
    fig, axs = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    axs[0].bar(1000 * intervals.time[0], intervals.data[:, 0], width=1)
    axs[0].set(xlabel="interval (ms)", ylabel="intervals", title=f"CV {intervals.info['cv'][0]:.2f}")
    low, high = average.confidence(0.95)
    axs[1].fill_between(1000 * average.time[0], low[:, 0], high[:, 0], alpha=0.3)
    axs[1].plot(1000 * average.time[0], average.avg[:, 0])
    axs[1].set(xlabel="time from spike (ms)", ylabel="amplitude", title="sound around spikes")
    axs[2].plot(coherence.freq, coherence.data[0, :, 0, 0])
    axs[2].set(xlabel="frequency (Hz)", ylabel="coherence", title="spikes with sound")
    fig.savefig(path)
    plt.close("all")
    return intervals, average, coherence


def draw_pair(field, spikes, path):
    """Phase consistency of both cells with both channels."""
    import matplotlib.pyplot as plt

    foi = np.arange(10, 91, 5)
    ppc = spy.spiketriggeredspectrum(field, spikes, foi=foi, output="ppc1")
    fig, axs = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    for j, (ax, channel) in enumerate(zip(axs, ppc.channel_j, strict=True)):
        for i, cell in enumerate(ppc.channel_i):
            ax.plot(foi, ppc.data[0, :, i, j], label=cell)
        ax.set(xlabel="frequency (Hz)", ylabel="ppc1", title=channel)
    axs[0].legend(frameon=False)
    fig.savefig(path)
    plt.close("all")
    return ppc


def main():
    _, average, coherence = draw_receptor(*grasshopper(), Path("receptor.png"))
    before = 1000 * average.time[0][average.avg[:, 0].argmax()]
    peak = coherence.freq[coherence.data[0, :, 0, 0].argmax()]
    print(
        f"receptor: sound is loudest {-before:.0f} ms before a spike, coherence is largest at {peak:.0f} Hz"
    )
    ppc = draw_pair(*locked_pair(), Path("pair.png"))
    best = ppc.freq[ppc.data[0, :, 0, 0].argmax()]
    print(f"locked cell: ppc1 is {ppc.data[0, :, 0, 0].max():.3f} at {best:.0f} Hz")
    print("pictures: receptor_raster.png, receptor.png, pair.png")


if __name__ == "__main__":
    main()
