"""Whole files read by rayspy and by the libraries that people use for them, in turn; see README.md.

Files are written first, in a temporary folder; what is compared are samples in physical units in memory.
Memory is the largest size of a process that goes through a file four times as large as its budget.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import rayspy as spy
from rayspy.storage.rows import blocks_of

RATE, CHANNELS = 1000, 64
MEMORY = """
import resource
import numpy as np
import rayspy as spy
spy.set_loglevel("ERROR")
data = spy.read({path!r})
small = data.copy()
small.trialdefinition = np.array([[0, 1000, 0]])
spy.mean(small, dim="time", parallel=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n = data.data.shape[0]
data.trialdefinition = np.array([[k, k + 1000, 0] for k in range(0, n - 999, 1000)])
with spy.config.using(memory_budget={budget}):
    spy.mean(data, dim="trials", parallel=None)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10)
"""


def made(n):
    """Microvolts whose rounding to 16 bits is no matter."""
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.integers(-9, 10, size=(n, CHANNELS), dtype=np.int16), axis=0, dtype=np.int16)
    data = spy.AnalogData(values.astype(np.float32) * 0.1, samplerate=RATE)
    data.unit = "µV"
    return data, values


def brainvision(folder, data, values):
    import mne

    path = folder / "x.vhdr"
    lines = [
        "Brain Vision Data Exchange Header File Version 1.0", "[Common Infos]", "DataFile=x.eeg",
        "MarkerFile=x.vmrk", "DataFormat=BINARY", "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={CHANNELS}", f"SamplingInterval={1e6 / RATE:g}", "[Binary Infos]",
        "BinaryFormat=INT_16", "[Channel Infos]", *(f"Ch{k}=c{k},,0.1,µV" for k in range(1, CHANNELS + 1)),
    ]  # fmt: skip
    path.write_text("\n".join(lines), encoding="utf-8")
    marker = "Brain Vision Data Exchange Marker File, Version 1.0\n[Marker Infos]\n"
    (folder / "x.vmrk").write_text(marker)
    values.tofile(folder / "x.eeg")
    return path, lambda: mne.io.read_raw_brainvision(path, preload=True, verbose="error").get_data()


def edf(folder, data, values):
    import mne

    spy.to_edf(data, folder / "x")
    path = folder / "x.edf"
    return path, lambda: mne.io.read_raw_edf(path, preload=True, verbose="error").get_data()


def nwb(folder, data, values):
    import pynwb

    spy.to_nwb(data, folder / "x")
    path = folder / "x.nwb"

    def library():
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            series = io.read().acquisition["ElectricalSeries"]
            return series.data[:] * series.conversion

    return path, library


def fieldtrip(folder, data, values):
    import h5py

    spy.to_fieldtrip(data, folder / "x")
    path = folder / "x.mat"

    def library():
        with h5py.File(path) as file:
            return file[file["data/trial"][0, 0]][:]

    return path, library


def eeglab(folder, data, values):
    import mne
    import scipy.io

    data.data[:].astype("<f4").tofile(folder / "x.fdt")
    eeg = {
        "nbchan": CHANNELS, "pnts": len(values), "trials": 1, "srate": RATE, "xmin": 0.0, "data": "x.fdt",
        "xmax": len(values) / RATE, "setname": "x", "chanlocs": [], "event": [], "icawinv": [],
        "icaweights": [], "icasphere": [], "epoch": [], "ref": "common", "filepath": "", "filename": "x.set",
        "chaninfo": [], "etc": [], "subject": "", "group": "", "condition": "", "session": [], "comments": "",
    }  # fmt: skip
    path = folder / "x.set"
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False)
    return path, lambda: mne.io.read_raw_eeglab(path, preload=True, verbose="error").get_data()


def fif(folder, data, values):
    import mne

    spy.to_fif(data, folder / "x_raw", "eeg")
    path = folder / "x_raw.fif"
    return path, lambda: mne.io.read_raw_fif(path, preload=True, verbose="error").get_data()


def blackrock(folder, data, values):
    """Through Neo by ranges of samples."""
    import struct

    import neo

    path = folder / "x.ns5"
    with path.open("wb") as file:
        when = (2020, 1, 3, 15, 10, 0, 0, 0)
        head = ("<8sBBI16s256sII8HI", b"NEURALCD", 2, 3, 314 + CHANNELS * 66, b"", b"", 30, 30_000)
        file.write(struct.pack(*head, *when, CHANNELS))
        for k in range(CHANNELS):
            about = (b"CC", k + 1, f"c{k}".encode(), 0, k, -8192, 8192, -2048, 2048, b"uV", 1, 1, 1, 1, 1, 1)
            file.write(struct.pack("<2sH16sBB4h16sIIHIIH", *about))
        file.write(struct.pack("<BII", 1, 0, len(values)))
        values.tofile(file)

    def library():
        raw = neo.rawio.BlackrockRawIO(filename=str(path))
        raw.parse_header()
        chunk = raw.get_analogsignal_chunk(0, 0, None, None, 0)
        return raw.rescale_signal_raw_to_float(chunk, "float32", 0)

    return path, library


FORMATS = {one.__name__: one for one in (brainvision, edf, nwb, fieldtrip, eeglab, fif, blackrock)}


def ours(path):
    found = spy.read(path)
    return found.data[:]


def in_blocks(path):
    """Every block once, on two threads, as front-ends read."""
    from concurrent.futures import ThreadPoolExecutor

    source = spy.read(path).source
    n = source.shape[0]
    halves = [(0, n // 2), (n // 2, n)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda ends: sum(x.size for _, x in blocks_of(source, *ends)), halves))


def timed(function, *args):
    wall, cpu = time.perf_counter(), time.process_time()
    function(*args)
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(kind, n, runs, with_memory):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, library = FORMATS[kind](Path(folder), *made(n))
        rounds = {"library": library, "data[:]": lambda: ours(path), "blocks": lambda: in_blocks(path)}
        times = {name: [] for name in rounds}
        for function in rounds.values():
            timed(function)
        for _ in range(runs):
            for name, function in rounds.items():
                times[name].append(timed(function))
        line = [f"{kind:12s}"]
        reference = np.median([t[0] for t in times["library"]])
        for name, found in times.items():
            wall, cpu = np.median(found, axis=0)
            line.append(f"{name} {wall:.3f} s, {cpu:.3f} CPU s ({wall / reference:.2f})")
        if with_memory:
            budget = max(n * CHANNELS * 4 // 4, 2**25)
            program = MEMORY.format(path=str(path), budget=budget)
            done = subprocess.run([sys.executable, "-c", program], stdout=-1, text=True, check=True)
            line.append(f"{float(done.stdout):.0f} MB at a budget of {budget / 1e6:.0f} MB")
        print("; ".join(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=tuple(FORMATS), nargs="*", default=list(FORMATS))
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    spy.set_loglevel("ERROR")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"{options.seconds} s x {CHANNELS} channels x {RATE} Hz")
    for kind in options.only:
        measure(kind, options.seconds * RATE, options.runs, options.memory)


if __name__ == "__main__":
    main()
