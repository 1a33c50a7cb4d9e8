"""Cluster tests and threshold-free enhancement against MNE; see README.md."""

import argparse
import json
import resource
import statistics
import time
import warnings
from functools import partial

import numpy as np
from scipy import ndimage, stats

import rayspy as spy

N_TIME, N_FREQ, N_CHANNELS, N = 100, 40, 64, 40
NAMES = [f"e{k:02d}" for k in range(N_CHANNELS)]


def grid_neighbours():
    """Channels on a grid of 8 x 8; diagonals count."""
    place = np.array([divmod(k, 8) for k in range(N_CHANNELS)])
    apart = np.abs(place[:, None] - place[None]).max(axis=-1)
    return apart == 1


def observations(seed):
    """Smooth noise; the first half of the observations has an effect."""
    rng = np.random.default_rng(seed)
    x = np.array(
        [
            ndimage.gaussian_filter(rng.standard_normal((N_TIME, N_FREQ, N_CHANNELS)), (2, 1, 0))
            for _ in range(2 * N)
        ],
        np.float32,
    )
    x /= x.std()
    x[:N, 40:60, 10:18, 20:40] += 0.4
    return x


def as_object(x):
    data = spy.SpectralData(x.reshape(-1, 1, N_FREQ, N_CHANNELS), samplerate=100, channel=NAMES)
    data.freq = [float(f) for f in range(2, 2 + N_FREQ)]
    starts = N_TIME * np.arange(len(x))
    data.definetrial(np.column_stack([starts, starts + N_TIME, np.zeros(len(x))]))
    return data


def clock(function):
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def ours(x, n, design, correctm, parallel, n_cpus):
    settings = {
        "design": design, "correctm": correctm, "neighbours": grid_neighbours(),
        "numrandomization": n, "parallel": parallel,
    }  # fmt: skip
    with spy.config.using(num_cpus=n_cpus):
        return clock(lambda: spy.freqstatistics(as_object(x[:N]), as_object(x[N:]), **settings))


def theirs(x, n, design, correctm, n_jobs):
    import mne
    from scipy import sparse

    adjacency = mne.stats.combine_adjacency(N_TIME, N_FREQ, sparse.coo_matrix(grid_neighbours()))
    threshold = stats.t.isf(0.025, 2 * N - 2 if design == "between" else N - 1)
    settings = {
        "threshold": {"start": 0, "step": 0.2} if correctm == "tfce" else threshold,
        "n_permutations": n, "tail": 0, "adjacency": adjacency, "n_jobs": n_jobs, "verbose": "error",
        "out_type": "indices", "buffer_size": None,
    }  # fmt: skip
    if design == "within":
        return clock(lambda: mne.stats.permutation_cluster_1samp_test(x[:N] - x[N:], **settings))[0]
    return clock(
        lambda: mne.stats.permutation_cluster_test(
            [x[:N], x[N:]], stat_fun=lambda a, b: mne.stats.ttest_ind_no_p(a, b), **settings
        )
    )[0]


def per_draw(run, few, many):
    """Seconds of one relabelling, without what happens once: difference of two runs."""
    first, second = run(few), run(many)
    return (second - first) / (many - few), first - few * (second - first) / (many - few)


CASES = {
    "two samples, clusters": ("between", "cluster", 1000, (2, 22)),
    "pairs, clusters": ("within", "cluster", 1000, (2, 42)),
    "two samples, tfce": ("between", "tfce", 200, (2, 4)),
}


def main():
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=CASES, nargs="*", default=list(CASES))
    parser.add_argument("--draws", type=int, help="relabellings of rayspy instead of 1000 and 200")
    parser.add_argument("--ray", action="store_true", help="also on two Ray actors")
    parser.add_argument("--no-mne", action="store_true")
    arguments = parser.parse_args()
    spy.set_loglevel("WARNING")
    x = observations(1)
    for design, correctm in (("between", "cluster"), ("within", "cluster"), ("between", "tfce")):
        ours(x, 1, design, correctm, False, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    for name in arguments.only:
        design, correctm, n, (few, many) = CASES[name]
        n = arguments.draws or n
        found = {"case": name, "relabellings": n}
        runs = {"threads_2": (None, 2), "thread_1": (False, 1)}
        if arguments.ray:
            runs["actors_2"] = (True, 2)
            ours(x, 40, design, correctm, True, 2)
        seconds = {key: [] for key in runs}
        for _ in range(arguments.repeats):
            for key, (parallel, n_cpus) in runs.items():
                seconds[key].append(ours(x, n, design, correctm, parallel, n_cpus)[0])
        found |= {key: round(statistics.median(values), 2) for key, values in seconds.items()}
        if not arguments.no_mne:
            for n_jobs in (1, 2):
                run = partial(theirs, x, design=design, correctm=correctm, n_jobs=n_jobs)
                each, once = per_draw(run, few, many)
                found[f"mne_{n_jobs}"] = round(once + n * each, 1)
            fastest = min(found["mne_1"], found["mne_2"])
            found["times_faster"] = round(fastest / found["threads_2"], 1)
        found["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
        print(json.dumps(found), flush=True)
    print(json.dumps({"peak_gb_before": round(before, 2)}))


if __name__ == "__main__":
    main()
