"""From a recording to its spectra: on all cores, then once more on a local Ray.

Without arguments this takes the recording that comes with the examples: local
field potential of the subthalamic nucleus and ECoG of a human during a grip task.

    python examples/quickstart.py
    python examples/quickstart.py mine.npz        # data, samplerate and, if any, channel, trialdefinition
    python examples/quickstart.py mine.npy --samplerate 1000
    python examples/quickstart.py mine.dat --dtype int16 --channels 32 --samplerate 30000
    python examples/quickstart.py mine.vhdr       # BrainVision
"""

import argparse
import time
from pathlib import Path

import numpy as np

import rayspy as spy

RECORDING = Path(__file__).parent / "data" / "stn_ecog_grip.npz"
SMOOTHING = 3  # Hz, half bandwidth of the multitaper spectra
HIGHEST = 150  # Hz
CHANNELS_PER_WORKER = 4  # on Ray
MOST_LINES = 12  # in one panel of the picture


def main():
    parser, args = parse_arguments()
    try:
        data = open_recording(parser, args)
        cut_into_trials(data, args.trial_length)
        highest = min(HIGHEST, data.samplerate / 2)
        settings = {"method": "mtmfft", "tapsmofrq": SMOOTHING, "foilim": [min(1, highest / 2), highest]}
        began = time.perf_counter()
        spec = spy.freqanalysis(data, **settings)
        print(f"Spectra of {len(data.trials)} trials: {time.perf_counter() - began:.2f} s")
        print(f"\n{spec}\n")
        spec.save(filename=args.output.with_suffix(".spectral"), overwrite=True)
        draw_spectra(spec, args.output, args.file.name)
        print(f"Result:  {spec.filename}  (open it with spy.load)\nPicture: {args.output}")
        if not args.no_ray:
            began = time.perf_counter()
            again = spy.freqanalysis(data, **settings, parallel=True, chan_per_worker=CHANNELS_PER_WORKER)
            print(f"The same on a local Ray, its start included: {time.perf_counter() - began:.2f} s")
            if any(a.tobytes() != b.tobytes() for a, b in zip(spec.trials, again.trials, strict=True)):
                parser.exit(1, "The two results differ. This must not happen: please report it.\n")
            print("The two results are the same, bit for bit.")
    except (spy.errors.RayspyError, OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {args.file.name}: {error}\n")


def parse_arguments():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, default=RECORDING, help="a recording")
    parser.add_argument("--samplerate", type=positive, help="samples per second (Hz), for .npy and raw files")
    parser.add_argument("--dtype", help="type of the numbers in a raw file, e.g. int16")
    parser.add_argument("--channels", type=int, help="number of channels in a raw file")
    parser.add_argument("--trial-length", type=positive, metavar="S", help="cut into trials of S seconds (1)")
    parser.add_argument("--output", type=Path, default="quickstart_spectra.png", help="picture to write")
    parser.add_argument("--no-ray", action="store_true", help="leave out the second run")
    args = parser.parse_args()
    if not args.file.is_file():
        parser.error(f"there is no file {args.file}")
    if args.output.suffix not in (".png", ".pdf", ".svg") or not args.output.absolute().parent.is_dir():
        parser.error(f"--output has to be a .png, .pdf or .svg file in an existing folder, not {args.output}")
    args.output = args.output.absolute()
    return parser, args


def positive(text):
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def open_recording(parser, args):
    """Open any of the formats; files without a header are used in place, whatever their size."""
    path, kind = args.file, args.file.suffix.lower()
    if kind == ".vhdr":
        return spy.load_brainvision(path)
    if kind == ".npz":
        with np.load(path) as found:
            if missing := {"data", "samplerate"} - set(found):
                parser.error(f"{path.name} has no {' and no '.join(sorted(missing))}")
            data = spy.AnalogData(as_columns(found["data"]), samplerate=float(found["samplerate"]))
            for name in {"channel", "trialdefinition"} & set(found):
                setattr(data, name, found[name])
            return data
    if args.samplerate is None:
        parser.error(f"{path.name} does not tell its sampling rate: add --samplerate HZ")
    if kind == ".npy":
        stored = np.load(path, mmap_mode="r")
        return spy.AnalogData(path if stored.ndim == 2 else as_columns(stored), samplerate=args.samplerate)
    if args.dtype is None or args.channels is None:
        parser.error(f"{path.name} is taken for raw binary: add --dtype (e.g. int16) and --channels")
    return spy.AnalogData(spy.raw_binary(path, args.dtype, args.channels), samplerate=args.samplerate)


def as_columns(array):
    """One channel may come as a plain list of samples."""
    return np.array(array).reshape(-1, 1) if array.ndim == 1 else array


def cut_into_trials(data, seconds):
    """Cut into pieces of equal length; trials that the file defines are kept unless a length is asked for."""
    if seconds is None and len(data.trials) > 1:
        return
    n = max(1, round((seconds or 1) * data.samplerate))
    pieces = [
        (first, first + n, offset + first - start)
        for start, stop, offset in data.trialdefinition[:, :3]
        for first in np.arange(start, stop - n + 1, n)
    ]
    if pieces:
        data.trialdefinition = np.array(pieces)
    else:
        print(f"The recording is shorter than {n / data.samplerate:g} s: it stays one trial.")


def draw_spectra(spec, path, title):
    """Mean over trials, one panel per kind of electrode."""
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    power = sum(trial[0, 0] for trial in spec.trials) / len(spec.trials)
    names = spec.channel.tolist()
    kinds = {kind: [n for n in names if n.upper().startswith(kind.upper())] for kind in ("LFP", "ECoG")}
    kinds = {kind: found for kind, found in kinds.items() if found} or {"": names}
    size = (5.2 * len(kinds) + 0.8, 4.2)
    fig, axes = plt.subplots(1, len(kinds), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax, (kind, found) in zip(axes.flat, kinds.items(), strict=True):
        for name in found[:MOST_LINES]:
            ax.plot(spec.freq, 10 * np.log10(power[:, names.index(name)]), label=name, linewidth=1.4)
        more = f" (first {MOST_LINES} of {len(found)} channels)" if len(found) > MOST_LINES else ""
        ax.set(title=f"{kind}{more}", xlabel="Frequency (Hz)")
        ax.legend(frameon=False, fontsize="small", ncols=2)
        ax.grid(alpha=0.3)
        ax.margins(x=0)
    axes[0, 0].set_ylabel("Power per bin (dB)")
    fig.suptitle(f"{title}: multitaper power, mean of {len(spec.trials)} trials", fontsize="medium")
    fig.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
