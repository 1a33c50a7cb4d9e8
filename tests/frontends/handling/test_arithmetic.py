"""Arithmetic and comparison of data objects against NumPy on their trials."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.frontends.handling.arithmetic import result_dtype
from rayspy.planning.geometry import TILE_BYTES
from rayspy.storage.derived import RunsSource
from rayspy.storage.sources import MemorySource
from tests.helpers import EXECUTORS, run_on

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
TRL = np.array([[0, 20, -5, 1], [20, 45, -5, 2], [50, 65, 0, 3], [60, 100, -10, 4]], dtype=float)
EQUAL = np.array([[0, 20, -5, 1], [25, 45, -5, 2], [80, 100, 0, 3]], dtype=float)


def make(
    seed: int = 0, dtype: str = "f4", trl: Any = TRL, dimord: Any = None, **options: Any
) -> spy.AnalogData:
    rng = np.random.default_rng(seed)
    array = rng.uniform(1, 9, size=(100, 4)).astype(dtype)
    if array.dtype.kind == "c":
        array = array + (1j * rng.uniform(1, 9, size=(100, 4))).astype(dtype)
    array = array.T if dimord else array
    return spy.AnalogData(
        array, samplerate=10, trialdefinition=trl, channel=list("abcd"), dimord=dimord, **options
    )


def check(found: Any, expected: list[Any], dtype: Any) -> None:
    assert found.data.dtype == dtype
    for got, wanted in zip(found.trials, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6 if np.dtype(dtype).itemsize > 4 else 1e-5)


# -- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize("scalar", [2, 2.5, 1.5j, np.float64(2.5), np.int8(3), np.float32(0.5)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2"])
def test_numbers_on_both_sides(symbol: str, scalar: Any, dtype: str) -> None:
    data, operate = make(dtype=dtype), OPERATORS[symbol]
    plain = scalar.item() if isinstance(scalar, np.generic) else scalar
    for found, swapped in ((operate(data, scalar), False), (operate(scalar, data), True)):
        pairs = [(plain, t) if swapped else (t, plain) for t in data.trials]
        expected = [
            operate(*(x.astype("f4") if np.ndim(x) and dtype == "i2" else x for x in p)) for p in pairs
        ]
        check(found, expected, expected[0].dtype)
        assert found.channel.tolist() == list("abcd")
        assert found.samplerate == 10
        np.testing.assert_array_equal(found.trialinfo, data.trialinfo)
        np.testing.assert_array_equal(found.trialdefinition[:, 2], TRL[:, 2])
    np.testing.assert_array_equal(found.sampleinfo, [[0, 20], [20, 45], [45, 60], [60, 100]])


def test_reflected_operations_keep_the_order_of_their_operands() -> None:
    data = make()
    np.testing.assert_allclose((1 - data).trials[1], 1 - data.trials[1], rtol=1e-6)
    np.testing.assert_allclose((2 / data).trials[1], 2 / data.trials[1], rtol=1e-6)
    np.testing.assert_allclose((2**data).trials[1], 2 ** data.trials[1], rtol=1e-6)
    array = np.array([1.0, 2, 3, 4])
    found = array - data
    assert isinstance(found, spy.AnalogData)
    np.testing.assert_allclose(found.trials[1], array - data.trials[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        ("f4", 2.5, "f4"), ("f4", "f8", "f8"), ("f4", 1j, "c8"), ("f4", 1e300, "f8"), ("f4", 1e-300, "f8"),
        ("f4", 0.0, "f4"), ("i1", 3, "f4"), ("u2", 200, "f4"), ("i2", 100_000, "f4"), ("i2", 0.5, "f4"),
        ("i2", 1j, "c8"), ("i2", "i2", "f4"), ("u1", "i2", "f4"), ("i2", "i4", "f8"), ("i4", 2, "f8"),
        ("u8", "f4", "f8"), ("f4", "u2", "f4"), ("c8", "f8", "c16"), ("f4", "c8", "c8"), ("f2", 2, "f2"),
        ("f2", 1e6, "f8"), ("f2", 100_000, "f8"),
    ],
)  # fmt: skip
def test_types(own: str, other: Any, expected: str) -> None:
    assert result_dtype(np.dtype(own), np.dtype(other) if isinstance(other, str) else other) == expected


def test_whole_numbers_do_not_wrap() -> None:
    a = spy.AnalogData(np.array([[30_000], [-30_000]], dtype="i2"))
    assert (a * 2).data[()].ravel().tolist() == [60_000, -60_000]
    assert ((a + a) / 2).data[()].ravel().tolist() == [30_000, -30_000]
    assert (a + 100_000).data[()].ravel().tolist() == [130_000, 70_000]
    np.testing.assert_allclose((a**-1).data[()].ravel(), [1 / 30_000, -1 / 30_000], rtol=1e-6)
    u = spy.AnalogData(np.array([[100], [300]], dtype="u2"))
    assert (u - 200).data[()].ravel().tolist() == [-100, 100]
    assert (0 - u).data[()].ravel().tolist() == [-100, -300]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from("iu"), st.sampled_from([1, 2, 4, 8]), st.sampled_from(list("+-*/")), st.data())
def test_whole_numbers_of_any_type(kind: str, size: int, symbol: str, data: Any) -> None:
    """Against exact arithmetic of Python: with numbers, arrays and objects, from both sides."""
    info = np.iinfo(f"{kind}{size}")
    numbers = st.integers(int(info.min), int(info.max)).filter(bool)
    x, y = data.draw(numbers), data.draw(numbers)
    single = np.array([[x]], dtype=info.dtype)
    operate, wanted = OPERATORS[symbol], OPERATORS[symbol](x, y)
    obj = spy.AnalogData(single)
    array = np.array([[y]], dtype=info.dtype)
    results = [operate(obj, array), operate(obj, spy.AnalogData(array)), operate(obj, y)]
    results.append(operate(single, spy.AnalogData(array)))
    for found in results:
        assert found.data.dtype == ("f4" if size <= 2 else "f8")
        scale = abs(x) + abs(y) if symbol in "+-" else abs(wanted)
        assert abs(float(found.data[0, 0]) - wanted) <= np.finfo(found.data.dtype).eps * 2 * scale


# -- arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize(
    ("shape", "trl"),
    [((4,), TRL), ((1, 4), TRL), ((1, 1), TRL), ((), TRL), ((20, 4), EQUAL), ((20, 1), EQUAL), ((1,), EQUAL)],
)
def test_arrays_are_laid_over_each_trial(symbol: str, shape: tuple[int, ...], trl: Any) -> None:
    array = np.random.default_rng(1).uniform(1, 3, size=shape)
    data, operate = make(trl=trl), OPERATORS[symbol]
    check(operate(data, array), [operate(t, array) for t in data.trials], "f8")
    check(operate(array, data), [operate(array, t) for t in data.trials], "f8")
    check(
        operate(data, array.tolist() or [1.0]), [operate(t, array) for t in data.trials], "f8"
    ) if shape else None
    flipped = make(trl=trl, dimord=["channel", "time"])
    if len(shape) == 2:
        check(operate(flipped, array.T), [operate(t, array.T) for t in flipped.trials], "f8")


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 400),
    st.sampled_from(list("+-*/")),
)
def test_blocks_do_not_matter(length: int, n_trials: int, n_channels: int, block: int, symbol: str) -> None:
    rng = np.random.default_rng(2)
    trials = rng.uniform(1, 2, size=(n_trials, length, n_channels))
    array = rng.uniform(1, 2, size=(length, n_channels))
    with spy.config.using(block_bytes=block, inmemory_bytes=100):
        data = spy.AnalogData(iter(trials), samplerate=1)
        found = OPERATORS[symbol](data, array)
    np.testing.assert_array_equal(np.array(list(found.trials)), OPERATORS[symbol](trials, array))


def test_arrays_fit_wherever_the_pieces_of_a_large_recording_begin() -> None:
    trials = np.random.default_rng(0).normal(size=(200, 701, 3))
    array = np.random.default_rng(1).normal(size=(701, 1))
    data = spy.AnalogData(iter(trials), samplerate=1)
    np.testing.assert_array_equal((data - array).data[()], (trials - array).reshape(-1, 3))
    assert data.data.nbytes > 5 * TILE_BYTES


# -- objects ---------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize(
    ("first", "second"), [("f4", "f4"), ("f4", "f8"), ("i2", "f4"), ("i2", "i2"), ("c8", "f4"), ("f4", "c8")]
)
def test_two_objects(symbol: str, first: str, second: str) -> None:
    a, b, operate = make(1, first), make(2, second), OPERATORS[symbol]
    pairs = [
        [x.astype("f4") if x.dtype == "i2" else x for x in pair]
        for pair in zip(a.trials, b.trials, strict=True)
    ]
    expected = [operate(x, y) for x, y in pairs]
    check(operate(a, b), expected, expected[0].dtype)


def test_an_object_with_itself() -> None:
    data = make()
    assert data + data == 2 * data
    assert (data - data).data[()].max() == 0
    assert data * data == data**2


def test_trials_may_lie_at_different_places() -> None:
    a, b = make(1), make(2)
    b.trialdefinition = np.array([[70, 90, -5], [5, 30, -5], [31, 46, 0], [40, 80, -10]])
    check(a + b, [x + y for x, y in zip(a.trials, b.trials, strict=True)], "f4")
    np.testing.assert_array_equal((a + b).trialdefinition[:, 2:], TRL[:, 2:])


@pytest.mark.parametrize("symbol", ["-", "/"])
def test_active_selections_count(symbol: str) -> None:
    a, b, operate = make(1), make(2), OPERATORS[symbol]
    a.selection = {"trials": [3, 0, 0], "channel": ["d", "b"], "latency": [-0.5, 0.3]}
    b.selection = {"trials": [1, 2, 1], "channel": ["d", "b"], "latency": [0, 0.8]}
    with pytest.raises(ValueError, match=r"trial 0 begins at 0 s instead of -0\.5 s"):
        operate(a, b)
    b.trialdefinition = np.array([[1, 21, -5], [20, 45, -5], [50, 65, 0], [70, 98, -10]])
    b.selection = {"trials": [3, 0, 0], "channel": ["d", "b"], "latency": [-0.5, 0.3]}
    pairs = zip(a.selection.trial_ids, b.selection.trial_ids, strict=True)
    expected = [operate(a.selection.trials[i], b.selection.trials[j]) for i, j in pairs]
    found = operate(a, b)
    check(found, expected, "f4")
    assert found.channel.tolist() == ["d", "b"]
    assert found.trialinfo[:, 0].tolist() == [4, 1, 1]
    check(operate(3, a), [operate(3, a.selection.trials[i]) for i in a.selection.trial_ids], "f4")
    assert a.selection is not None
    assert b.selection is not None


def spectra(seed: int, unit: float = 1.0) -> spy.SpectralData:
    array = np.random.default_rng(seed).uniform(1, 2, size=(4, 2, 3, 3))
    return spy.SpectralData(
        array, samplerate=10, trialdefinition=np.array([[0, 2, 0], [2, 4, 0]]),
        taper=["s", "t"], freq=np.array([1.0, 2, 4]) * unit, channel=list("abc"),
    )  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(3)), st.permutations(range(2)), st.permutations(range(3)), st.booleans())
def test_labels_in_another_order_are_matched(
    channels: list[int], tapers: list[int], freqs: list[int], flip: bool
) -> None:
    """Whatever the order of the labels of either operand, the same labels meet."""
    a, plain = spectra(1), spectra(2)
    array = plain.data[()][:, tapers][:, :, freqs][..., channels]
    dims = ["channel", "freq", "taper", "time"] if flip else None
    trl = a.trialdefinition
    b = spy.SpectralData(array.T if flip else array, samplerate=10, trialdefinition=trl, dimord=dims)
    b.channel, b.taper = plain.channel[channels], plain.taper[tapers]
    b.freq = plain.freq[freqs] * (1 + 1e-9)
    if flip:
        a = spy.SpectralData(a.data[()].T, samplerate=10, trialdefinition=trl, dimord=dims)
        a.channel, a.taper, a.freq = plain.channel, plain.taper, plain.freq
    wanted = spectra(1).data[()] - plain.data[()]
    found = a - b
    np.testing.assert_array_equal(found.data[()].T if flip else found.data[()], wanted)
    other = b - a
    picked = wanted[:, tapers][:, :, freqs][..., channels]
    np.testing.assert_array_equal(other.data[()].T if flip else other.data[()], -picked)
    assert other.channel.tolist() == b.channel.tolist()


def test_order_of_channels_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    a, b = make(1), make(2)
    b.channel = list("dcba")
    with caplog.at_level("INFO", logger="rayspy"):
        found = a - b
    assert sum("matched by name" in text for text in caplog.messages) == 1
    np.testing.assert_allclose(found.trials[0], a.trials[0] - b.trials[0][:, ::-1], rtol=1e-6)


@pytest.mark.parametrize(("symbol", "label"), [("-", "a-e"), ("/", "a/e")])
def test_names_without_any_in_common_meet_by_position(symbol: str, label: str) -> None:
    a, b = make(1), make(2)
    b.channel = list("efgh")
    found = OPERATORS[symbol](a, b)
    assert found.channel[0] == label
    assert found.channel.tolist()[1:] == [f"b{symbol}f", f"c{symbol}g", f"d{symbol}h"]
    np.testing.assert_allclose(found.trials[0], OPERATORS[symbol](a.trials[0], b.trials[0]), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"channel": list("abx")}, "only in the first object: c; only in the second object: x"),
        ({"channel": list("aab")}, "only in the first object: c"),
        ({"taper": ["s", "u"]}, "only in the first object: t; only in the second object: u"),
        ({"freq": [1.0, 2.0, 5.0]}, "only in the first object: 4; only in the second object: 5"),
        ({"trialdefinition": np.array([[0, 2, 0], [2, 4, 1]])}, "trial 1 begins at 0.1 s instead of 0 s"),
    ],
)
def test_labels_that_differ_are_named(change: dict[str, Any], told: str) -> None:
    a, b = spectra(1), spectra(2)
    for name, value in change.items():
        setattr(b, name, value)
    with pytest.raises(ValueError, match=re.escape(told)):
        _ = a - b


def test_other_uneven_times_are_refused() -> None:
    data = make(trl=EQUAL)
    a, b = (
        spy.freqanalysis(data, method="wavelet", foi=[2.0, 3.0], toi=toi, parallel=False)
        for toi in ([0.0, 0.2, 0.7], [0.0, 0.3, 0.7])
    )
    assert (a - a).data[()].max() == 0
    with pytest.raises(ValueError, match=r"0\.3"):
        _ = a - b


def test_spectra_without_time_do_not_have_one_to_compare() -> None:
    before, after = (
        spy.freqanalysis(make(), select={"latency": w}, parallel=False) for w in ([-0.5, 0.4], [0, 0.9])
    )
    assert (after / before).data.shape == after.data.shape


def test_repeated_names_meet_by_position_only_where_they_are_equal() -> None:
    a, b = make(1), make(2)
    a.channel, b.channel = ["x", "x", "y", "z"], ["x", "x", "y", "z"]
    np.testing.assert_allclose((a - b).trials[0], a.trials[0] - b.trials[0], rtol=1e-6)
    b.channel = ["x", "y", "x", "z"]
    with pytest.raises(ValueError, match="more than once"):
        _ = a - b


def test_spectra() -> None:
    data = make(trl=EQUAL)
    power = spy.freqanalysis(data, parallel=False)
    spectra = spy.freqanalysis(data, output="fourier", parallel=False)
    mean = power.data[()].mean(axis=0, keepdims=True)
    relative = power / mean[0]
    np.testing.assert_allclose(relative.data[()], power.data[()] / mean, rtol=1e-6)
    np.testing.assert_array_equal(relative.freq, power.freq)
    assert relative.taper.tolist() == power.taper.tolist()
    squared = spectra * spectra
    assert squared.data.dtype == np.complex64
    np.testing.assert_allclose(squared.data[()], spectra.data[()] ** 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-16, 1.0, 1e12])
def test_squares_of_power_fit(unit: float) -> None:
    power = spy.SpectralData(np.array([1.0, 2, 3], dtype="f4").reshape(1, 1, 3, 1) * np.float32(unit**2))
    for found in (power * power, power**2, power * power.data[0]):
        np.testing.assert_allclose(found.data[()].ravel() / unit**4, [1, 4, 9], rtol=1e-6)
    assert (power * 2).data.dtype == (power / power).data.dtype == np.float32


def test_spectra_with_very_wide_rows() -> None:
    rng = np.random.default_rng(0)
    array = rng.uniform(1, 2, size=(6, 2, 300, 300)).astype("f4")
    assert array[0].nbytes > TILE_BYTES
    data = spy.SpectralData(array, samplerate=10, trialdefinition=np.array([[0, 3, 0], [3, 6, 0]]))
    mean = array[:3, :1].mean(0, keepdims=True)
    np.testing.assert_array_equal((data / mean).data[()], array / mean)
    flipped = spy.SpectralData(array.transpose(3, 0, 2, 1), dimord=["channel", "time", "freq", "taper"])
    np.testing.assert_array_equal((2 - flipped).data[()], 2 - array.transpose(3, 0, 2, 1))
    np.testing.assert_array_equal(data.selectdata(taper=[1], trials=[1]).data[()], array[3:, [1]])


def test_history_info_and_cfg_of_the_result() -> None:
    data = make()
    data.cfg = {"preprocessing": spy.StructDict(freq=3)}
    data.info["probe"] = 7
    data.log = "made"
    found = (1 - data) * np.ones(4)
    assert found.cfg == {}
    assert found.info == {"probe": 7}
    assert "made" in found.log
    assert "left = 1" in found.log
    assert "operation = -" in found.log
    assert "right = array of shape (4,) float64" in found.log
    assert data.cfg == {"preprocessing": {"freq": 3}}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_on_every_executor(executor: str, request: Any, tmp_path: Path) -> None:
    a, b = make(1), make(2, "f8")
    a.data[()].tofile(tmp_path / "a.raw")
    raw = spy.AnalogData(spy.raw_binary(tmp_path / "a.raw", "float32", 4), samplerate=10, trialdefinition=TRL)
    raw.selection = {"trials": [3, 1]}
    a.selection = b.selection = {"trials": [3, 1]}
    expected = [t**0.3 / u for t, u in zip(a.selection.trials, b.selection.trials, strict=True)]
    with run_on(executor, request), spy.config.using(block_bytes=500, inmemory_bytes=200):
        for left in (a, raw):
            found = left**0.3 / spy.selectdata(b, trials=[3, 1])
            for got, wanted in zip(found.trials, expected, strict=True):
                np.testing.assert_array_equal(got, wanted)


def test_division_by_zeros_in_the_data_is_silent() -> None:
    data = spy.AnalogData(np.zeros((3, 1), "f4"))
    assert np.isinf((1 / data).data[()]).all()
    assert np.isnan((data / data).data[()]).all()


# -- comparison --------------------------------------------------------------------------------


def test_equal() -> None:
    data = make()
    same = make()
    same.log = "another history"
    same.cfg = {"x": 1}
    assert data == data
    assert data == same
    assert (data != same) is False
    assert data == spy.copy(data)
    assert data == spy.AnalogData(data)
    assert spy.AnalogData() == spy.AnalogData()
    assert data != spy.AnalogData()
    assert data != 3
    assert data is not None
    assert data != None  # noqa: E711
    with pytest.raises(TypeError, match="unhashable"):
        hash(data)


def test_what_makes_a_difference() -> None:
    changes: list[Callable[[Any], Any]] = [
        lambda d: setattr(d, "samplerate", 11),
        lambda d: setattr(d, "channel", list("abce")),
        lambda d: setattr(d, "trialdefinition", TRL[:3]),
        lambda d: setattr(d, "trialdefinition", TRL + np.array([0, 0, 1, 0])),
        lambda d: d.info.update(x=1),
        lambda d: setattr(d, "data", d.data[()] + np.float32(0.01)),
    ]
    for change in changes:
        other = make()
        change(other)
        assert make() != other
    assert make() != make(dimord=["channel", "time"])
    assert make(dtype="f4") == make(dtype="f4").copy()


def test_trials_without_samples() -> None:
    empty = np.array([[5, 5, 0], [8, 8, 0]])
    assert make(trl=empty[:, :3]) == make(trl=empty[:, :3])
    with pytest.raises(ValueError, match="empty trial 0"):
        _ = make(trl=empty) + 1


def test_between_trials_nothing_is_compared() -> None:
    a, b = make(), make()
    array = b.data[()]
    array[45:50] = -1
    b.data = array
    assert a == b
    array[44] = -1
    b.data = array
    assert a != b


@pytest.mark.parametrize("unit", [1e-15, 1.0, 1e15])
def test_rounding_is_relative_to_the_numbers(unit: float) -> None:
    array = np.random.default_rng(0).normal(size=(1000, 3)) * unit
    data = spy.AnalogData(array)
    assert data == spy.AnalogData(array * (1 + 1e-6))
    assert data != spy.AnalogData(array * (1 + 1e-3))
    assert data * 3 / 3 == data
    array[5] = np.nan
    assert spy.AnalogData(array) == spy.AnalogData(array.copy())


def test_a_selection_is_refused() -> None:
    data = make()
    data.selection = {"trials": [1]}
    with pytest.raises(ValueError, match="active selection"):
        _ = data == make()
    with pytest.raises(ValueError, match="active selection"):
        _ = make() == data


# -- the source behind it -------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 8)), min_size=1, max_size=6),
    st.lists(st.integers(0, 4), min_size=1, max_size=6) | st.none(),
    st.integers(0, 1),
    st.data(),
)
def test_runs_of_rows(runs: Any, picks: Any, axis: int, data: Any) -> None:
    array = np.arange(150).reshape(30, 5)
    array = array if axis == 0 else array.T.copy()
    starts = np.array([a for a, _ in runs])
    stops = np.minimum(starts + [n for _, n in runs], 30)
    rows = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)]).astype(int)
    columns = list(range(5)) if picks is None else picks
    model = array[np.ix_(rows, columns)] if axis == 0 else array[np.ix_(columns, rows)]
    index = {} if picks is None else {1 - axis: np.array(picks)}
    source = RunsSource(MemorySource(array), axis, starts, stops, index)
    assert source.shape == model.shape
    region = tuple(
        slice(*sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n))))) for n in model.shape
    )
    if 0 in (s.stop - s.start for s in region):
        return
    with source.reader() as read:
        np.testing.assert_array_equal(read(region), model[region])
