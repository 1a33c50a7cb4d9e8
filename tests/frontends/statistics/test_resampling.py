"""Bootstrap, jackknife, effect sizes and pictures of tests."""

import numpy as np
import pytest
from scipy import stats

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from tests.frontends.statistics.test_statistics import NAMES, analog, frequency_test, points, spectra
from tests.helpers import run_on


def test_jackknife_of_a_mean_has_the_standard_error_in_closed_form():
    data = spectra(9, 1.0, 1)
    found, x = spy.jackknife(data, level=0.9, parallel=False), points(data)
    error = x.std(0, ddof=1) / 3
    np.testing.assert_allclose(found.estimate.ravel(), x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.se.ravel(), error, rtol=1e-10)
    limits = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    np.testing.assert_allclose(found.low.ravel(), limits.low, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.high.ravel(), limits.high, rtol=1e-9, atol=1e-12)
    assert found.estimate.shape == (8, 3, 4)


def test_jackknife_of_differences():
    a, b = analog(7, 1.0, 1), analog(9, 0.0, 2)
    found, (x, y) = spy.jackknife(a, b, parallel=False), (points(a), points(b))
    np.testing.assert_allclose(found.estimate.ravel(), x.mean(0) - y.mean(0), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        found.se.ravel(), np.sqrt(x.var(0, ddof=1) / 7 + y.var(0, ddof=1) / 9), rtol=1e-9
    )
    pairs = spy.jackknife(a, analog(7, 0.0, 2), design="within", parallel=False)
    d = x - points(analog(7, 0.0, 2))
    np.testing.assert_allclose(pairs.se.ravel(), d.std(0, ddof=1) / np.sqrt(7), rtol=1e-9)


def test_bootstrap_draws_whole_trials():
    data = analog(8, 1.0, 1)
    found, x = spy.bootstrap(data, n=4000, level=0.8, parallel=False), points(data)
    np.testing.assert_allclose(found.se.ravel(), x.std(0) / np.sqrt(8), rtol=0.06)
    normal = stats.norm.ppf(0.9) * found.se
    np.testing.assert_allclose((found.high - found.low) / 2, normal, rtol=0.08)
    again = spy.bootstrap(data, n=4000, level=0.8, parallel=False)
    np.testing.assert_array_equal(again.low, found.low)
    other = spy.bootstrap(data, n=4000, level=0.8, seed=1, parallel=False)
    assert (other.low != found.low).any()
    table = found.to_dataframe()
    assert list(table.columns) == ["time", "channel", "estimate", "se", "low", "high"]
    assert len(table) == 30


@pytest.mark.parametrize("executor", ["local-2", "ray-2"])
def test_bits_of_intervals(executor, request, monkeypatch):
    a, b = spectra(6, 1.0, 1), spectra(6, 0.0, 2)
    wanted = spy.bootstrap(a, b, n=50, parallel=False)
    monkeypatch.setattr("rayspy.frontends.statistics.resampling._POINTS", 17)
    with run_on(executor, request) as where, spy.config.using(inmemory_bytes=200):
        got = spy.bootstrap(a, b, n=50, **where)
    for name in ("estimate", "se", "low", "high"):
        np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name))


def test_effect_sizes():
    a, b = spectra(6, 1.0, 1), spectra(8, 0.0, 2)
    x, y = points(a), points(b)
    result = frequency_test(a, b, numrandomization=10)
    pooled = np.sqrt((5 * x.var(0, ddof=1) + 7 * y.var(0, ddof=1)) / 12)
    np.testing.assert_allclose(
        result.cohens_d.ravel(), (x.mean(0) - y.mean(0)) / pooled, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(result.hedges_g / result.cohens_d, 1 - 3 / (4 * 12 - 1), rtol=1e-3)
    pairs = frequency_test(a, spectra(6, 0.0, 2), design="within", numrandomization=10)
    d = x - points(spectra(6, 0.0, 2))
    np.testing.assert_allclose(pairs.cohens_d.ravel(), d.mean(0) / d.std(0, ddof=1), rtol=1e-9, atol=1e-12)
    with_covariate = frequency_test(a, b, covariates=np.arange(14.0) ** 2, numrandomization=10)
    assert with_covariate.cohens_d is None


@pytest.mark.parametrize(
    ("error", "name", "settings"),
    [
        (InvalidTypeError, "n", {"n": "many"}),
        (InvalidValueError, "n", {"n": 1}),
        (InvalidValueError, "level", {"level": 1.0}),
        (InvalidTypeError, "seed", {"seed": None}),
        (InvalidValueError, "design", {"design": "between"}),
        (InvalidValueError, "design", {"design": "paired"}),
        (InvalidTypeError, "avgovertime", {"avgovertime": "yes please"}),
    ],
)
def test_bad_input(error, name, settings):
    with pytest.raises(error, match=name):
        spy.bootstrap(spectra(4), **settings)


def test_sets_that_cannot_be_resampled():
    with pytest.raises(InvalidValueError, match="at least 2"):
        spy.jackknife(spectra(1))
    with pytest.raises(InvalidValueError, match="as many observations"):
        spy.bootstrap(spectra(3), spectra(4), design="within")
    with pytest.raises(InvalidValueError, match="or two"):
        spy.bootstrap(spectra(3), spectra(4), spectra(4))


# -- pictures -----------------------------------------------------------------------------------------


def test_pictures_show_the_mask():
    plt = pytest.importorskip("matplotlib.pyplot")
    result = frequency_test(spectra(12, 3.0, 1), spectra(12, 0.0, 2), neighbours=None)
    fig, axs = result.multipanelplot()
    panels = [ax for ax in fig.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == NAMES
    assert len(axs.ravel()) == 4
    fig, ax = spy.singlepanelplot(result, channel="ch1")
    image = ax.collections[0]
    alpha = np.asarray(image.get_alpha()).ravel()
    np.testing.assert_array_equal(alpha == 1.0, result.mask[:, :, 1].T.ravel())
    assert result.mask[:, :, 1].any()
    with pytest.raises(InvalidValueError, match="one channel"):
        result.singlepanelplot()
    with pytest.raises(InvalidValueError, match="quantity"):
        result.singlepanelplot(channel=0, quantity="enhanced")
    lines = spy.timelockstatistics(analog(9, 3.0, 1), analog(9, 0.0, 2), numrandomization=50, parallel=False)
    fig, ax = lines.singlepanelplot()
    thick = [line for line in ax.lines if line.get_linewidth() > 3]
    assert len(thick) == 3
    np.testing.assert_array_equal(~np.isnan(thick[1].get_ydata()), lines.mask[:, 1])
    plt.close("all")
