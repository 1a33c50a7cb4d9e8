"""README.md and docs: their Python runs, files they name exist, and what is said of Syncopy is so."""

import gc
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import rayspy as spy
from rayspy.config import Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL)


SCRIPTS = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.slow
@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: page.name)
def test_python_runs_from_top_to_bottom(page, tmp_path):
    pytest.importorskip("matplotlib")
    script = tmp_path / "page.py"
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    environment = {**os.environ, "MPLBACKEND": "Agg", "RAYSPY_SCRATCH_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", script.name],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if page.name == "guide.md":
        assert "rayspy SpectralData object" in done.stdout
        assert "Ray actors" in done.stderr
        assert (tmp_path / "spectra.png").is_file()
        assert (tmp_path / "noise.spy").is_dir()


def test_the_first_page_is_short():
    assert len(text_of(README).splitlines()) <= 150


def test_shell_commands_name_files_and_extras_that_exist():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert len(blocks(README, "sh")) == 2
    for command in blocks(README, "sh"):
        for word in shlex.split(command):
            if "/" in word and not word.startswith(".venv"):
                assert (ROOT / word).is_file(), word
            if match := re.fullmatch(r"\.\[(.*)\]", word):
                assert set(match[1].split(",")) <= set(extras)


def test_every_setting_is_listed():
    page = text_of(ROOT / "docs" / "settings.md")
    for field in fields(Settings):
        assert f"`{field.name}`" in page
        assert f"`RAYSPY_{field.name.upper()}`" in page


def anchors(page):
    titles = re.findall(r"^#+ (.*)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository(page):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text_of(page)):
        name, _, anchor = target.partition("#")
        found = (page.parent / name) if name else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


# -- the table of differences


@pytest.fixture
def data():
    return spy.white_noise(nTrials=4, nSamples=200, nChannels=5, samplerate=200, seed=1)


def spectra(data, **options):
    return spy.freqanalysis(data, parallel=False, **options)


def test_edge_bins_of_foilim(data):
    for n in (200, 300, 700):
        cut = spy.AnalogData(data.data[:n].copy(), samplerate=200)
        freq = spectra(cut, foilim=[10, 30]).freq
        assert (freq[0], freq[-1]) == (10, 30)


def test_chan_per_worker(data):
    expected = spectra(data).data[:]
    average = spectra(data, keeptrials=False, select={"channel": [0, 3, 4]}).data[:]
    for n in (1, 2, 5, 7):
        np.testing.assert_array_equal(spectra(data, chan_per_worker=n).data[:], expected)
        cut = spectra(data, chan_per_worker=n, keeptrials=False, select={"channel": [0, 3, 4]})
        np.testing.assert_array_equal(cut.data[:], average)


def test_errors_leave_no_selection(data):
    for options in ({"select": {"channel": ["none"]}}, {"select": {"channel": [0]}, "foilim": [5, 5000]}):
        with pytest.raises(spy.errors.InvalidValueError):
            spectra(data, **options)
        assert data.selection is None
        assert spectra(data).data.shape[3] == 5


def test_selection_in_place_serves_twice(data):
    data.selectdata(trials=[1, 2], latency=[-0.5, -0.1], inplace=True)
    before = data.selection.trialdefinition.copy()
    first, second = spectra(data), spectra(data)
    np.testing.assert_array_equal(first.data[:], second.data[:])
    np.testing.assert_array_equal(data.selection.trialdefinition, before)


def test_cfg_is_replayed_exactly(data):
    made = spectra(data, foi=[1, 2.5, 10.2], pad=2.0)
    cfg = made.cfg
    again = spy.freqanalysis(data, cfg=cfg)
    assert cfg["freqanalysis"]["foi"] == [1, 2.5, 10.2]
    np.testing.assert_array_equal(again.freq, [1, 2.5, 10])
    np.testing.assert_array_equal(again.data[:], made.data[:])


def test_copies_of_structdict():
    cfg = spy.StructDict(a=1, b={"c": [1.5]})
    twin = cfg.copy()
    twin.b["c"].append(2)
    assert dict(cfg) == {"a": 1, "b": {"c": [1.5]}}
    assert dict(twin) == {"a": 1, "b": {"c": [1.5, 2]}}


@pytest.mark.parametrize("kind", [list, iter])
def test_trialdefinition_of_lists_and_generators(kind):
    trl = np.array([[0, 5, -2], [5, 20, 0]])
    made = spy.AnalogData(kind([np.zeros((10, 2))] * 2), samplerate=10, trialdefinition=trl)
    np.testing.assert_array_equal(made.trialdefinition, trl)


def test_labels_of_spectraldata():
    made = spy.SpectralData(np.zeros((1, 2, 3, 2)), freq=[1.0, 2.0, 3.0], taper=["a", "b"])
    assert made.freq.tolist() == [1, 2, 3]
    assert made.taper.tolist() == ["a", "b"]


def test_joined_objects_keep_offsets_and_trialinfo():
    one = spy.AnalogData(np.zeros((10, 2)), samplerate=10, trialdefinition=np.array([[0, 10, -3, 7]]))
    np.testing.assert_array_equal(
        spy.AnalogData([one, one]).trialdefinition, [[0, 10, -3, 7], [10, 20, -3, 7]]
    )


def test_copies_are_independent(data):
    with spy.config.using(inmemory_bytes=1):
        made = spectra(data)
    twin, values = made.copy(), made.data[:]
    twin.info["x"] = 1
    twin.cfg["freqanalysis"]["foi"] = [3]
    assert "x" not in made.info
    assert made.cfg["freqanalysis"]["foi"] is None
    del made
    gc.collect()
    np.testing.assert_array_equal(twin.data[:], values)


def test_file_name_opens_the_whole_object(data, tmp_path):
    data.save(filename=tmp_path / "x.analog")
    for made in (
        spy.AnalogData(str(tmp_path / "x.analog")),
        spy.AnalogData(filename=str(tmp_path / "x.analog")),
    ):
        assert made.samplerate == 200
        np.testing.assert_array_equal(made.trialdefinition, data.trialdefinition)


def test_average_of_unequal_trials():
    values = np.random.default_rng(0).normal(size=(300, 2))
    made = spy.AnalogData(values, samplerate=100, trialdefinition=np.array([[0, 100, 0], [100, 300, 0]]))
    average = spectra(made, keeptrials=False).data[0]
    np.testing.assert_allclose(average, np.mean(list(spectra(made).data[:]), axis=0), rtol=1e-6)


def test_selectors(data):
    assert spectra(data, select="all").data.shape == (4, 1, 101, 5)
    assert data.selectdata(channel=slice(1, 3), parallel=False).data.shape == (800, 2)
    assert data.show(trials=0, channel=1, squeeze=False).shape == (200, 1)


def test_log_is_text(data):
    assert "freqanalysis" in str(spectra(data).log)
    assert isinstance(data.log, str)


def test_cleanup_leaves_this_session_alone(data):
    with spy.config.using(inmemory_bytes=1):
        made = spectra(data)
    values = made.data[:]
    spy.cleanup(older_than=0)
    np.testing.assert_array_equal(made.data[:], values)


def test_import_has_no_side_effects(tmp_path):
    code = """
import sys, numpy, os
before = (numpy.get_printoptions(), sys.excepthook)
import rayspy
assert (numpy.get_printoptions(), sys.excepthook) == before
assert not {"ray", "dask", "distributed", "matplotlib"} & set(sys.modules)
"""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
