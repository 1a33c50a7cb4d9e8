"""Multitaper spectra of many trials: the same script on a laptop, in a SLURM job and as a Ray job.

laptop            python examples/spectra.py
SLURM job         sbatch --nodes=4 --cpus-per-task=16 --mem=64G slurm/rayspy.sbatch examples/spectra.py
standing cluster  sbatch --nodes=4 --cpus-per-task=16 --mem=64G slurm/ray_cluster.sbatch
                  slurm/ray_job_submit.sh examples/spectra.py
"""

import argparse

import rayspy as spy


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--output", default="spectra.spectral")
    args = parser.parse_args()

    spy.cluster_info()
    data = spy.synthdata.white_noise(nTrials=args.trials, nChannels=args.channels, seed=1)
    spec = spy.freqanalysis(data, method="mtmfft", foilim=[1, 150], tapsmofrq=10, chan_per_worker=40)
    spec.save(filename=args.output, overwrite=True)
    print(spec)


if __name__ == "__main__":
    main()
