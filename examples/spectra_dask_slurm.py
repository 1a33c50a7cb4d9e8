"""Multitaper spectra of many trials on Dask workers that are SLURM jobs, as in scripts written for Syncopy.

login node        python examples/spectra_dask_slurm.py --queue PARTITION
"""

import argparse

import dask.distributed as dd
from dask_jobqueue import SLURMCluster

import rayspy as spy


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queue", required=True, help="SLURM partition")
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--memory", default="8 GB", help="per job")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--output", default="spectra.spectral")
    args = parser.parse_args()

    cluster = SLURMCluster(cores=1, memory=args.memory, processes=1, local_directory="/tmp", queue=args.queue)
    cluster.scale(args.jobs)
    client = dd.Client(cluster)

    data = spy.synthdata.white_noise(nTrials=args.trials, nChannels=args.channels, seed=1)
    spec = spy.freqanalysis(
        data, method="mtmfft", foilim=[1, 150], tapsmofrq=10, parallel=True, chan_per_worker=40
    )
    spec.save(filename=args.output, overwrite=True)
    print(spec)

    client.close()
    cluster.close()


if __name__ == "__main__":
    main()
