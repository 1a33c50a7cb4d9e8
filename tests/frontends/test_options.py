"""Options: misspelt ones, those of other methods, and defaults that are written out."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidValueError


@pytest.fixture(scope="module")
def data():
    return spy.white_noise(nTrials=2, nSamples=200, nChannels=2, samplerate=200, seed=1)


@pytest.mark.parametrize(
    ("call", "name", "nearest"),
    [
        (spy.freqanalysis, "tapsmofreq", "`tapsmofrq`?"),
        (spy.freqanalysis, "keep_trials", "`keeptrials`?"),
        (spy.preprocessing, "filtertype", "`filter_type`?"),
        (spy.selectdata, "chanel", "`channel`?"),
        (spy.freqanalysis, "quux", "one of data, method, output"),
    ],
)
def test_misspelt_options_are_refused(data, call, name, nearest):
    for style in ({name: 4}, {"cfg": {name: 4}}):
        with pytest.raises(InvalidValueError) as caught:
            call(data, **style)
        assert str(caught.value).startswith(
            f"Invalid value of `option of {call.__name__}`: '{name}'; expected "
        )
        assert nearest in str(caught.value)


def test_also_where_there_is_no_data():
    with pytest.raises(InvalidValueError, match="`nTrials`"):
        spy.white_noise(nTrial=3)


def test_one_cfg_for_several_functions(data, caplog):
    with caplog.at_level("WARNING", logger="rayspy"):
        spy.freqanalysis(data, cfg={"tapsmofrq": 10, "resamplefs": 50}, parallel=False)
    assert [text for text in caplog.messages if "`resamplefs` has no effect" in text] == caplog.messages


def test_defaults_may_be_written_out(data, caplog):
    defaults = dict(spy.get_defaults(spy.freqanalysis))
    wavelets = {**defaults, "method": "wavelet", "foi": [20], "pad": None}
    with caplog.at_level("WARNING", logger="rayspy"):
        spy.freqanalysis(data, **defaults)
        spy.freqanalysis(data, **wavelets)
        assert not caplog.messages
        spy.freqanalysis(data, **{**wavelets, "t_ftimwin": 0.5})
    assert len(caplog.messages) == 1


def test_dpss_says_what_tapsmofrq_means(data):
    named = spy.freqanalysis(data, taper="dpss", tapsmofrq=10, parallel=False)
    np.testing.assert_array_equal(named.data[:], spy.freqanalysis(data, tapsmofrq=10, parallel=False).data[:])
    with pytest.raises(InvalidValueError, match="taper"):
        spy.freqanalysis(data, taper="hamming", tapsmofrq=10)


def test_names_that_are_not_built_say_so():
    missing = [name for name in spy._PLANNED if name not in vars(spy)]
    for name in missing:
        with pytest.raises(AttributeError, match="not built"):
            getattr(spy, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'frequanalysis'$"):
        spy.frequanalysis  # noqa: B018


def test_a_replay_may_use_another_engine(data):
    made = spy.freqanalysis(data, tapsmofrq=10, parallel=False)
    again = spy.freqanalysis(data, cfg=made.cfg, parallel=None)
    np.testing.assert_array_equal(again.data[:], made.data[:])
    with pytest.raises(InvalidValueError, match="tapsmofrq"):
        spy.freqanalysis(data, cfg=made.cfg, tapsmofrq=5)


def test_histories(data):
    assert "computed white_noise with settings" in data.log
    assert "nTrials = 2" in data.log
    made = spy.freqanalysis(data, foi=np.arange(1, 90.5, 0.5), parallel=False)
    assert "used_parallel = False (1 local thread)" in made.log
    line = next(line for line in made.log.splitlines() if "foi = " in line)
    items = line.split("= ")[1].strip("[]").split(", ")
    assert "..." in items
    assert [float(item) for item in items if item != "..."][-1] == 90
    assert all(float(item) in np.arange(1, 90.5, 0.5) for item in items if item != "...")
