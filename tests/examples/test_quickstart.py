"""The quickstart, run as a stranger runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rayspy as spy

EXAMPLES = Path(__file__).parents[2] / "examples"
pytest.importorskip("matplotlib")


def quickstart(folder, *arguments, timeout=240):
    """Run the script in a folder of its own."""
    command = [sys.executable, str(EXAMPLES / "quickstart.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)


def check_ran(done, folder, n_trials):
    assert done.returncode == 0, done.stderr
    assert (folder / "quickstart_spectra.png").read_bytes()[:4] == b"\x89PNG"
    assert f"Spectra of {n_trials} trials" in done.stdout
    return spy.load(folder / "quickstart_spectra.spectral")


def test_shipped_recording(tmp_path):
    spec = check_ran(quickstart(tmp_path, "--no-ray"), tmp_path, 19)
    assert spec.data.shape == (19, 1, 150, 10)
    beta = np.mean([trial[0, 0] for trial in spec.trials], axis=0)[:, 3]
    window = (spec.freq >= 13) & (spec.freq <= 30)
    assert spec.freq[window][beta[window].argmax()] == pytest.approx(18, abs=2)


@pytest.mark.slow
def test_shipped_recording_on_ray(tmp_path):
    done = quickstart(tmp_path)
    check_ran(done, tmp_path, 19)
    assert "the same, bit for bit" in done.stdout
    assert "Ray actor" in done.stderr


def write_files(folder):
    """The same recording in every format: 2.5 s of two channels."""
    values = np.random.default_rng(1).normal(size=(500, 2)).astype("f4")
    np.savez(folder / "mine.npz", data=values, samplerate=200, channel=["left", "right"])
    np.save(folder / "mine.npy", values)
    values.tofile(folder / "mine.dat")
    return values


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mine.npz", ()),
        ("mine.npy", ("--samplerate", 200)),
        ("mine.dat", ("--dtype", "float32", "--channels", 2, "--samplerate", 200)),
    ],
)
def test_own_file(tmp_path, name, options):
    values = write_files(tmp_path)
    spec = check_ran(quickstart(tmp_path, name, *options, "--no-ray", "--trial-length", 0.5), tmp_path, 5)
    trl = np.array([[k, k + 100, k] for k in range(0, 500, 100)])
    data = spy.AnalogData(values, samplerate=200, trialdefinition=trl)
    expected = spy.freqanalysis(data, tapsmofrq=3, foilim=[1, 100], parallel=False)
    np.testing.assert_array_equal(spec.data[:], expected.data[:])


def test_brainvision(tmp_path):
    header = next((EXAMPLES / "data" / "brainvision").glob("*.vhdr"))
    assert check_ran(quickstart(tmp_path, header, "--no-ray"), tmp_path, 19).data.shape[3] == 10


def test_trials_of_the_file_are_kept(tmp_path):
    trl = np.array([[0, 150, -50], [200, 350, -50]])
    np.savez(
        tmp_path / "t.npz",
        data=np.random.default_rng(2).normal(size=400),
        samplerate=100,
        trialdefinition=trl,
    )
    spec = check_ran(quickstart(tmp_path, "t.npz", "--no-ray"), tmp_path, 2)
    assert spec.freq[1] - spec.freq[0] == pytest.approx(100 / 150)


@pytest.mark.parametrize("n_samples", [1, 2, 40])
def test_short_recording_of_one_channel(tmp_path, n_samples):
    np.save(tmp_path / "short.npy", np.random.default_rng(2).normal(size=n_samples))
    done = quickstart(tmp_path, "short.npy", "--samplerate", 100, "--no-ray")
    if n_samples == 40:
        check_ran(done, tmp_path, 1)
        assert "shorter than 1 s" in done.stdout
    else:
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.npz"], "no file none.npz"),
        (["mine.npy"], "--samplerate"),
        (["mine.dat", "--samplerate", "200"], "--dtype"),
        (["mine.dat", "--samplerate", "200", "--dtype", "int16"], "--channels"),
        (["mine.dat", "--samplerate", "200", "--dtype", "nonsense", "--channels", "2"], "dtype"),
        (["mine.dat", "--samplerate", "200", "--dtype", "float32", "--channels", "7"], "channels"),
        (["mine.npy", "--samplerate", "fast"], "--samplerate"),
        (["mine.npy", "--samplerate", "-1"], "--samplerate"),
        (["bare.npz"], "samplerate"),
        (["text.npz"], "text.npz"),
        (["text.npy", "--samplerate", "5"], "text.npy"),
        (["mine.npz", "--trial-length", "0"], "--trial-length"),
        (["mine.npz", "--output", "nowhere/a.png"], "nowhere"),
        (["mine.npz", "--output", "a.docx"], "a.docx"),
    ],
)
def test_bad_arguments(tmp_path, arguments, words):
    write_files(tmp_path)
    np.savez(tmp_path / "bare.npz", data=np.zeros((5, 2)))
    (tmp_path / "text.npz").write_text("no numbers")
    (tmp_path / "text.npy").write_text("no numbers")
    done = quickstart(tmp_path, *arguments, "--no-ray")
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "quickstart_spectra.png").exists()
