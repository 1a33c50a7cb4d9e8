"""`connectivityanalysis` against Syncopy, mne-connectivity and a bare loop, in turn; see README.md.

Peers get as many trials as they can do in reasonable time, their seconds are scaled per trial, which is said.
Syncopy runs in an environment of its own, given by --syncopy. Start: python -m tests.benchmarks.connectivity
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.fft import rfft
from scipy.signal.windows import dpss

import rayspy as spy
from rayspy.kernels.connectivity.sums import add, all_pairs, empty_sums
from tests.benchmarks.spectra import clock

CASES = {
    "A": {"shape": (50, 1000, 16), "settings": {"tapsmofrq": 4}, "peer_trials": 50},
    "B": {"shape": (2000, 500, 128), "settings": {"tapsmofrq": 4}, "peer_trials": 16},
    "C": {"shape": (300, 2000, 64), "settings": {}, "peer_trials": 6},
}
WINDOWS = {"t_ftimwin": 0.5, "toi": 0.9, "foi": np.arange(2, 101, 2)}
"""Of case C, which is resolved in time: one Hann window of 0.5 s every 50 ms."""
RATE = 1000.0


def data_of(shape, seed=0):
    n, length, channels = shape
    x = np.random.default_rng(seed).standard_normal((n * length, channels)).astype(np.float32)
    edges = np.arange(n + 1) * length
    trl = np.column_stack([edges[:-1], edges[1:], np.zeros(n)])
    return spy.AnalogData(x, samplerate=RATE, trialdefinition=trl)


def ours(data, method, parallel=None, **settings):
    return clock(lambda: spy.connectivityanalysis(data, method=method, parallel=parallel, **settings))


def ours_in_time(data, parallel=None):
    """Spectra in windows, then coherence of them."""

    def run():
        spectra = spy.freqanalysis(
            data, method="mtmconvol", taper="hann", output="fourier", keeptapers=True, parallel=parallel,
            **WINDOWS,
        )  # fmt: skip
        spy.connectivityanalysis(spectra, method="coh", parallel=parallel)

    return clock(run)


def granger_of_spectral_connectivity(data, shape, tapsmofrq):
    """All pairs of channels, each factorised by itself, as that package has it."""
    import spectral_connectivity

    n, length, channels = shape
    x = data.data[()].reshape(n, length, channels).transpose(1, 0, 2).astype(np.float64)

    def run():
        multitaper = spectral_connectivity.Multitaper(
            x, sampling_frequency=RATE, time_halfbandwidth_product=tapsmofrq * length / RATE
        )
        found = spectral_connectivity.Connectivity.from_multitaper(multitaper)
        found.pairwise_spectral_granger_prediction()

    return clock(run)


def bare(data, shape, tapsmofrq):
    """The same transforms and the same products in one loop of one thread."""
    n, length, channels = shape
    half = tapsmofrq * length / RATE
    tapers = dpss(length, half, max(1, int(2 * half - 1)))
    pairs = all_pairs(channels)
    x = data.data[()].reshape(n, length, channels)

    def run():
        sums = empty_sums(("cross",), len(pairs), length // 2 + 1)
        for k in range(0, n, 8):
            part = x[k : k + 8]
            part = part - part.mean(axis=1, keepdims=True)
            spectra = [rfft(part * w.astype(np.float32)[:, None], axis=1) for w in tapers]
            add(sums, np.stack(spectra, axis=1)[:, None], pairs)
        power = (
            sums["cross"][pairs.diagonal(pairs.first)].real * sums["cross"][pairs.diagonal(pairs.second)].real
        )
        return np.abs(sums["cross"]) / np.sqrt(power)

    return clock(run)


def mne_connectivity(data, shape, method, tapsmofrq, n_trials):
    from mne_connectivity import spectral_connectivity_epochs

    n, length, channels = shape
    x = data.data[()].reshape(n, length, channels)[:n_trials].transpose(0, 2, 1)
    options = {"mode": "multitaper", "mt_bandwidth": 2 * tapsmofrq, "sfreq": RATE, "verbose": "error"}
    seconds = clock(lambda: spectral_connectivity_epochs(x, method=method, **options))
    return seconds * n / n_trials


def table(title, times):
    print(f"\n{title}")
    reference = np.median(next(iter(times.values())))
    for name, values in times.items():
        median = np.median(values)
        print(f"  {name:42s} {median * 1000:10.1f} ms   {median / reference:7.1f} x", flush=True)


def runs_of(key, options):
    case = CASES[key]
    shape, settings, few = case["shape"], case["settings"], case["peer_trials"]
    data = data_of(shape)
    if key == "C":
        runs = {
            "coh in time": lambda: ours_in_time(data),
            "coh in time, one thread": lambda: ours_in_time(data, False),
        }
        return runs | (syncopy_runs(options.syncopy, shape, settings, few, key) if options.syncopy else {})
    six = ["coh", "plv", "ppc", "pli", "wpli", "wpli_debiased"]
    runs = {
        "coh": lambda: ours(data, "coh", **settings),
        "coh, one thread": lambda: ours(data, "coh", False, **settings),
        "coh, bare loop, one thread": lambda: bare(data, shape, settings["tapsmofrq"]),
        "wpli_debiased": lambda: ours(data, "wpli_debiased", **settings),
        "ppc": lambda: ours(data, "ppc", **settings),
        "six measures": lambda: ours(data, six, **settings),
    }
    if key == "A":
        runs["coh, jackknife"] = lambda: ours(data, "coh", jackknife=True, **settings)
        runs["granger, all channels"] = lambda: ours(data, "granger", **settings)
        runs["granger, pair by pair"] = lambda: ours(data, "granger", pairwise=True, **settings)
        if options.spectral:
            runs["spectral_connectivity granger, pair by pair"] = lambda: granger_of_spectral_connectivity(
                data, shape, settings["tapsmofrq"]
            )
    if options.mne:
        names = {"coh": "coh", "wpli_debiased": "wpli2_debiased"}
        for name, theirs in names.items():
            runs[f"mne-connectivity {name}"] = lambda theirs=theirs: mne_connectivity(
                data, shape, theirs, settings["tapsmofrq"], few
            )
    if options.syncopy:
        runs |= syncopy_runs(options.syncopy, shape, settings, few, key)
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--syncopy", help="Python of Syncopy's environment")
    parser.add_argument("--mne", action="store_true", help="compare with mne-connectivity")
    parser.add_argument("--spectral", action="store_true", help="compare with spectral_connectivity")
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    spy.set_loglevel("ERROR")
    for key in options.cases:
        runs = runs_of(key, options)
        times = {name: [] for name in runs}
        for run in runs.values():
            run()
        for _ in range(options.runs):
            for name, run in runs.items():
                times[name].append(run())
        n, length, channels = CASES[key]["shape"]
        few = CASES[key]["peer_trials"]
        table(f"{key}: {n} trials x {length} samples x {channels} channels, peers scaled from {few}", times)


_SERVER = """
import json, sys, time, os
answers = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)
import numpy as np, syncopy as spy
for line in sys.stdin:
    ask = json.loads(line)
    n, length, channels = ask["shape"]
    x = np.random.default_rng(0).standard_normal((n * length, channels)).astype(np.float32)
    data = spy.AnalogData(x, samplerate=1000.0)
    edges = np.arange(n + 1) * length
    data.definetrial(np.column_stack([edges[:-1], edges[1:], np.zeros(n)]))
    began = time.perf_counter()
    if ask.get("windows"):
        windows = {**ask["windows"], "foi": np.array(ask["windows"]["foi"])}
        settings = {"method": "mtmconvol", "taper": "hann", "output": "fourier", "keeptapers": True}
        data = spy.freqanalysis(data, parallel=False, **settings, **windows)
    spy.connectivityanalysis(data, parallel=False, **ask["settings"])
    print(time.perf_counter() - began, file=answers, flush=True)
"""


def syncopy_runs(python, shape, settings, few, key):
    folder = tempfile.mkdtemp()
    script = Path(folder, "server.py")
    script.write_text(_SERVER)
    environment = {**os.environ, "SPYTMPDIR": folder, "SPYDIR": folder, "SPYLOGLEVEL": "ERROR"}
    process = subprocess.Popen(
        [python, str(script)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip

    windows = {**WINDOWS, "foi": WINDOWS["foi"].tolist()}

    def ask(**more):
        request = {"shape": (few, *shape[1:]), "settings": {**settings, **more}}
        request["windows"] = windows if key == "C" else {}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return float(process.stdout.readline()) * shape[0] / few

    found = {"Syncopy coh, sequential": lambda: ask(method="coh")}
    if key == "A":
        found["Syncopy ppc, sequential"] = lambda: ask(method="ppc")
        found["Syncopy coh, jackknife"] = lambda: ask(method="coh", jackknife=True)
        found["Syncopy granger, all channels"] = lambda: ask(method="granger")
    return found


if __name__ == "__main__":
    sys.exit(main())
