"""`freqanalysis` through an attached Dask client, against Syncopy on such a client and the Ray executor."""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import rayspy as spy
from rayspy import cluster
from tests.benchmarks.spectra import CHANNELS, SAMPLES, Syncopy, clock, say


def median(values):
    return statistics.median(values)


def attached_phase(data, repeats):
    """Seconds to attach, for small calls, and for the large call, on a fresh LocalCluster of two."""
    import distributed

    small = spy.synthdata.white_noise(nTrials=1, nSamples=100, nChannels=1, seed=1)
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 40}
    with (
        distributed.LocalCluster(n_workers=2, **options) as local,
        distributed.Client(local) as client,
    ):
        client.wait_for_workers(2)
        first = say("first call, attaching", clock(lambda: spy.freqanalysis(small)))
        calls = [clock(lambda: spy.freqanalysis(small)) for _ in range(30)]
        say("later small call, median", median(calls))
        clock(lambda: spy.freqanalysis(data))
        large = [say("attached", clock(lambda: spy.freqanalysis(data))) for _ in range(repeats)]
    return first, calls, large


def ray_phase(data, repeats):
    """Seconds of the large call on Ray actors that are up."""
    clock(lambda: spy.freqanalysis(data, parallel=True))
    large = [say("Ray", clock(lambda: spy.freqanalysis(data, parallel=True))) for _ in range(repeats)]
    cluster.shutdown_local_ray()
    return large


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--syncopy", help="Python of an environment with Syncopy")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--phases", type=int, default=2)
    parser.add_argument("--syncopy-repeats", type=int, default=2)
    options = parser.parse_args()
    spy.set_loglevel("ERROR")
    spy.config.progress = False
    spy.config.num_cpus = 2
    with tempfile.TemporaryDirectory(dir=os.environ.get("RAYSPY_TMPDIR")) as name:
        spy.config.scratch_dir = name
        shape = {"nTrials": options.trials, "nSamples": SAMPLES, "nChannels": CHANNELS}
        data = spy.synthdata.white_noise(seed=1, **shape)
        firsts, calls, attached, on_ray = [], [], [], []
        for _ in range(options.phases):
            first, some_calls, large = attached_phase(data, options.repeats)
            firsts.append(first)
            calls += some_calls
            attached += large
            on_ray += ray_phase(data, options.repeats)
        print(f"attaching: {', '.join(f'{s:.1f} s' for s in firsts)}; later small call {median(calls):.4f} s")
        print(f"{options.trials} trials: attached {median(attached):.3f} s, Ray {median(on_ray):.3f} s")
        print(f"attached / Ray: {median(attached) / median(on_ray):.2f}")
        if options.syncopy:
            syncopy = Syncopy(options.syncopy, Path(name))
            syncopy.ask(json.dumps({**shape, "nTrials": 50}))
            syncopy.ask("dask")
            syncopy.ask(json.dumps(shape))
            theirs = [say("Syncopy Dask", syncopy.ask("dask")) for _ in range(options.syncopy_repeats)]
            syncopy.close()
            print(f"Syncopy Dask / attached: {median(theirs) / median(attached):.1f}")


if __name__ == "__main__":
    main()
