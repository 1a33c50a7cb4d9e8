"""FieldTrip and EEGLAB files: both formats of MATLAB, against the numbers written and MNE."""

import h5py
import numpy as np
import pytest
import scipy.io

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError, RayspyError

RNG = np.random.default_rng(5)
TRIALS = [RNG.normal(size=(3, n)) for n in (100, 80, 120)]
LABELS = ["Fz", "Cz", "µ1"]
PLACES = np.arange(9.0).reshape(3, 3)
STARTS = [-0.1, 0.0, 0.25]
INFO = np.array([[1.0, 10], [2, 20], [3, 30]])


class Hdf5Mat:
    """Writes MATLAB's format 7.3: structs are groups, cells are references, dimensions are reversed."""

    def __init__(self, path):
        self.file = h5py.File(path, "w", userblock_size=512)
        self.count = 0

    def put(self, group, name, value):
        if isinstance(value, dict):
            made = group.create_group(name)
            for key, one in value.items():
                self.put(made, key, one)
        elif isinstance(value, str):
            made = group.create_dataset(name, data=np.array([[ord(c)] for c in value], np.uint16))
            made.attrs["MATLAB_class"] = np.bytes_("char")
        elif isinstance(value, list):
            made = group.create_dataset(name, (len(value), 1), h5py.ref_dtype)
            for k, one in enumerate(value):
                self.count += 1
                self.put(self.file, f"#refs#/{self.count}", one)
                made[k, 0] = self.file[f"#refs#/{self.count}"].ref
            made.attrs["MATLAB_class"] = np.bytes_("cell")
        else:
            array = np.atleast_2d(value)
            made = group.create_dataset(name, data=array.T)
            made.attrs["MATLAB_class"] = np.bytes_("double")


def write(path, new, variables):
    if new:
        mat = Hdf5Mat(path)
        for name, value in variables.items():
            mat.put(mat.file, name, value)
        mat.file.close()
    else:
        scipy.io.savemat(path, {name: _cells(value) for name, value in variables.items()})
    return path


def _cells(value):
    if isinstance(value, dict):
        return {key: _cells(one) for key, one in value.items()}
    if isinstance(value, list):
        made = np.empty((len(value), 1), object)
        made[:, 0] = [_cells(one) for one in value]
        return made
    return value


def struct(**changes):
    whole = {
        "trial": TRIALS,
        "time": [s + np.arange(t.shape[1])[None] / 500 for s, t in zip(STARTS, TRIALS, strict=True)],
        "label": LABELS,
        "fsample": 500.0,
        "trialinfo": INFO,
        "elec": {
            "label": LABELS,
            "chanpos": np.arange(9.0).reshape(3, 3),
            "unit": "cm",
            "chanunit": ["uV", "uV", "V"],
        },
        "cfg": {"event": 3.0},
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


@pytest.mark.parametrize("new", [True, False])
def test_fieldtrip_raw(tmp_path, new):
    path = write(tmp_path / "x.mat", new, {"data": struct(), "other": 3.0})
    data = spy.read(path)
    assert list(data.channel) == LABELS
    assert data.samplerate == 500
    assert list(data.unit) == ["µV", "µV", "V"]
    np.testing.assert_array_equal(data.trialinfo, INFO)
    np.testing.assert_array_equal(data.trialdefinition[:, 2], [-50, 0, 125])
    for k, trial in enumerate(TRIALS):
        np.testing.assert_array_equal(data.trials[k], trial.T)
        np.testing.assert_allclose(data.time[k][0], STARTS[k], atol=1e-12)
    np.testing.assert_array_equal(data.data[90:185, 1], np.concatenate(TRIALS, axis=1)[1, 90:185])
    assert data.info["positions"]["Cz"] == pytest.approx([0.03, 0.04, 0.05])
    volts = spy.read(path, unit="V")
    np.testing.assert_allclose(volts.trials[1], TRIALS[1].T * [1e-6, 1e-6, 1], rtol=1e-12)


@pytest.mark.parametrize("new", [True, False])
def test_fieldtrip_without_samplerate_with_one_trial_and_one_row_of_trialinfo(tmp_path, new):
    one = struct(
        fsample=None, trial=TRIALS[:1], time=[np.arange(100)[None] / 500], trialinfo=INFO[:1, 0], elec=None
    )
    data = spy.load_ft_raw(write(tmp_path / "x.mat", new, {"raw": one}), include_fields=["cfg"])["raw"]
    assert data.samplerate == 500
    assert data.unit is None
    np.testing.assert_array_equal(data.trialdefinition, [[0, 100, 0, 1]])
    assert data.info["cfg"] == {"event": 3.0}


def test_load_ft_raw_picks(tmp_path, caplog):
    path = write(tmp_path / "x.mat", True, {"a": struct(), "b": struct(), "plain": {"x": 1.0}})
    assert spy.load_ft_raw(path, list_only=True) == ["a", "b", "plain"]
    assert set(spy.read(path)) == {"a", "b"}
    assert list(spy.load_ft_raw(path, select_structures=["b", "c"])) == ["b"]
    assert "'c'" in caplog.text
    with pytest.raises(InvalidTypeError, match="select_structures"):
        spy.load_ft_raw(path, select_structures="a")


def test_fieldtrip_timelock_of_equal_trials(tmp_path):
    trials = np.stack([TRIALS[0], TRIALS[0] + 1])
    one = struct(trial=trials, time=np.arange(100)[None] / 500 - 0.1, trialinfo=None, elec=None)
    for new in (True, False):
        data = spy.read(write(tmp_path / f"x{new}.mat", new, {"t": one}))
        np.testing.assert_array_equal(data.trials[1], trials[1].T)
        np.testing.assert_array_equal(data.trialdefinition[:, 2], [-50, -50])


@pytest.mark.parametrize(
    "changes",
    [
        {"label": ["a", "b"]},
        {"time": [np.arange(5.0)[None]] * 3},
        {"trial": ["text"] * 3},
        {"trial": TRIALS[:2]},
        {"fsample": None, "time": [np.zeros((1, t.shape[1])) for t in TRIALS]},
    ],
)
@pytest.mark.parametrize("new", [True, False])
def test_fieldtrip_that_does_not_fit(tmp_path, changes, new):
    with pytest.raises(DamagedDataError, match=r"x\.mat"):
        spy.read(write(tmp_path / "x.mat", new, {"data": struct(**changes)}))


def test_files_that_are_none(tmp_path):
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DamagedDataError, match="recognizable"):
        spy.read(tmp_path / "x.mat")
    write(tmp_path / "y.mat", True, {"n": 1.0})
    with pytest.raises(InvalidValueError, match="FieldTrip"):
        spy.read(tmp_path / "y.mat")


def test_links_to_other_files_are_not_followed(tmp_path):
    write(tmp_path / "x.mat", True, {"data": struct()})
    with h5py.File(tmp_path / "y.mat", "w", userblock_size=512) as file:
        file["data"] = h5py.ExternalLink(str(tmp_path / "x.mat"), "data")
    with pytest.raises(InvalidValueError, match="links to other files"):
        spy.read(tmp_path / "y.mat")
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        place = file["data/trial"][1, 0]
        name = file[place].name
        del file[name]
        file.create_dataset(name, (80, 3), "f8", external=[("/etc/passwd", 0, 1920)])
        file["data/trial"][1, 0] = file[name].ref
    with pytest.raises(InvalidValueError, match="links to other files"):
        spy.read(tmp_path / "x.mat")


@pytest.mark.parametrize(
    "place", ["data", "data/trial", "data/time", "data/label", "data/elec", "data/fsample"]
)
def test_structures_are_in_one_file(tmp_path, place):
    """Also where the other one is beside it, and trials are pages of one array."""
    trials = np.stack([TRIALS[0], TRIALS[0] + 1])
    one = struct(trial=trials, time=np.arange(100)[None] / 500 - 0.1, trialinfo=None)
    for name in "xy":
        write(tmp_path / f"{name}.mat", True, {"data": one})
    with h5py.File(tmp_path / "y.mat", "r+") as file:
        del file[place]
        file[place] = h5py.ExternalLink("x.mat", place)
    with pytest.raises(InvalidValueError, match="link to another file"):
        spy.read(tmp_path / "y.mat")


# -- EEGLAB -----------------------------------------------------------------------------------

EPOCHS = RNG.normal(size=(3, 50, 4)).astype("f4")
CHANLOCS = [
    {"labels": name, "X": 1.0 + k, "Y": 2.0, "Z": 3.0, "type": "EEG"} for k, name in enumerate(LABELS)
]


def eeg(epochs=True, inside=True, events=(), **changes):
    data = EPOCHS if epochs else EPOCHS.reshape(3, -1, order="F")
    places = {key: [one[key] for one in CHANLOCS] for key in CHANLOCS[0]}
    rows = {key: [row[k] for row in events] for k, key in enumerate(("type", "latency", "duration"))}
    return {
        "nbchan": 3.0, "pnts": float(data.shape[1]), "trials": float(data.shape[2] if epochs else 1),
        "srate": 250.0, "xmin": -0.04 if epochs else 0.0, "xmax": 1.0, "data": data if inside else "x.fdt",
        "chanlocs": places, "event": rows if events else np.empty((0, 0)), "setname": "",
        "icawinv": np.empty((0, 0)),
        "ref": "common", **changes,
    }  # fmt: skip


def write_set(path, new, variables):
    """Struct arrays: a struct of cells in format 7.3, an array of structs before."""
    if new:
        return write(path, True, {"EEG": variables})
    made = {
        key: _struct_array(value) if isinstance(value, dict) else value for key, value in variables.items()
    }
    scipy.io.savemat(path, {"EEG": made})
    return path


def _struct_array(columns):
    n = len(next(iter(columns.values())))
    rows = np.empty((1, n), dtype=[(key, object) for key in columns])
    for key, values in columns.items():
        rows[key] = np.array(values, object).reshape(1, -1)
    return rows


@pytest.mark.parametrize("epochs", [True, False])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("new", [True, False])
def test_eeglab(tmp_path, new, inside, epochs):
    path = write_set(tmp_path / "x.set", new, eeg(epochs, inside, [("S 1", 10.0, 1.0), ("S 2", 60.5, 3.0)]))
    if not inside:
        (tmp_path / "x.fdt").write_bytes(EPOCHS.tobytes(order="F"))
    data = spy.read(path)
    np.testing.assert_array_equal(data.data[:], EPOCHS.reshape(3, -1, order="F").T)
    np.testing.assert_array_equal(data.data[45:120, 2], EPOCHS.reshape(3, -1, order="F")[2, 45:120])
    assert (data.samplerate, list(data.channel), data.unit) == (250, LABELS, "µV")
    assert len(data.trials) == (4 if epochs else 1)
    if epochs:
        np.testing.assert_array_equal(data.trialdefinition[2], [100, 150, -10])
    assert data.events.data[:].tolist() == [[9, 1, 1], [60, 2, 3]]
    assert data.info["positions"]["Cz"] == [-2.0, 2.0, 3.0]


def test_eeglab_equals_mne(tmp_path):
    mne = pytest.importorskip("mne")
    path = write_set(
        tmp_path / "x.set", False, eeg(False, True, [("a", 10.0, 1.0), ("boundary", 100.5, 25.0)])
    )
    raw = mne.io.read_raw_eeglab(path, preload=True, verbose="error", montage_units="m")
    data = spy.read(path, unit="V")
    np.testing.assert_allclose(data.data[:], raw.get_data().T, rtol=1e-6)
    np.testing.assert_array_equal(data.trialdefinition, [[0, 100, 0], [100, 200, 125]])
    assert data.events.data[0, 0] == round(raw.annotations.onset[0] * 250)
    place = raw.info["chs"][1]["loc"][:3]
    np.testing.assert_allclose(data.info["positions"]["Cz"], place, rtol=1e-6)


def test_eeglab_that_does_not_fit(tmp_path):
    for changes in ({"nbchan": 4.0}, {"srate": -1.0}, {"pnts": 1e300}, {"trials": 0.5}, {"data": "../y.fdt"}):
        path = write_set(tmp_path / "x.set", True, eeg(**changes))
        (tmp_path.parent / "y.fdt").write_bytes(bytes(2400))
        with pytest.raises((DamagedDataError, InvalidValueError), match=r"x\.set"):
            spy.read(path)
    path = write_set(tmp_path / "x.set", True, eeg(inside=False))
    with pytest.raises(PathError, match=r"x\.fdt"):
        spy.read(path)
    (tmp_path / "x.fdt").write_bytes(EPOCHS.tobytes(order="F")[:-20])
    data = spy.read(path)
    assert len(data.trials) == 3
    assert len(data.info["notes"]) == 2


@pytest.mark.parametrize("new", [True, False])
def test_truncated_files_give_a_specific_error_or_the_numbers(tmp_path, new):
    """Random bytes are not tried: the HDF5 library itself crashes on some."""
    for name, made in (("x.set", write_set), ("x.mat", write)):
        content = {"data": struct()} if name == "x.mat" else eeg(True, True, [("S 1", 10.0, 1.0)])
        path = made(tmp_path / name, new, content)
        good = path.read_bytes()
        errors = 0
        for share in np.linspace(0.01, 0.99, 15):
            path.write_bytes(good[: int(len(good) * share)])
            try:
                assert spy.read(path).data[:3].shape == (3, 3)
            except RayspyError as error:
                errors += name in str(error)
        assert errors >= 10
