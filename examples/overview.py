"""One recording, four pictures: spectra, time-frequency, coherence, and a test between halves.

python examples/overview.py [overview.png]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import rayspy as spy

RECORDING = Path(__file__).parent / "data" / "stn_ecog_grip.npz"


def main(picture="overview.png"):
    with np.load(RECORDING) as file:
        names = [str(name) for name in file["channel"]]
        data = spy.AnalogData(file["data"], samplerate=float(file["samplerate"]), channel=names)
    n = int(data.samplerate)
    data.trialdefinition = np.array([[k, k + n, 0] for k in range(0, data.data.shape[0] - n, n)])
    clean = spy.preprocessing(data, freq=2, filter_type="hp")

    spec = spy.freqanalysis(clean, tapsmofrq=3, foilim=[2, 80])
    mean = spy.mean(spec, dim="trials")
    foi, toi = np.arange(8, 60, 2.0), np.arange(0.2, 0.8, 0.02)
    tfr = spy.mean(spy.freqanalysis(clean, method="wavelet", foi=foi, toi=toi), dim="trials")
    coh = spy.connectivityanalysis(clean, method="coh", tapsmofrq=3, foilim=[2, 80])
    halves = [spec.selectdata(trials=list(range(k, len(data.trials), 2))) for k in (0, 1)]
    test = spy.freqstatistics(*halves, numrandomization=500, seed=1)

    fig, axs = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    axs[0].semilogy(mean.freq, mean.data[0, 0], linewidth=1)
    axs[0].set(title="power", xlabel="frequency (Hz)", xlim=(2, 80))
    image = axs[1].pcolormesh(toi, tfr.freq, np.log10(tfr.data[:, 0, :, 0]).T, rasterized=True)
    axs[1].set(title=f"wavelets, {names[0]}", xlabel="time (s)", ylabel="frequency (Hz)")
    fig.colorbar(image, ax=axs[1], label="log10 power")
    beta = coh.selectdata(frequency=[13, 30]).data[0].mean(axis=0)
    image = axs[2].imshow(beta, vmin=0, vmax=1)
    axs[2].set(title="coherence, 13-30 Hz", xlabel="channel", ylabel="channel")
    fig.colorbar(image, ax=axs[2])
    axs[3].plot(spec.freq, test.stat[0], linewidth=1)
    axs[3].set(title="t, odd against even trials", xlabel="frequency (Hz)", xlim=(2, 80))
    fig.savefig(picture, dpi=80)
    print(test)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
