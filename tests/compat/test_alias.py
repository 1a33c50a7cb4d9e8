"""Syncopy's name for rayspy."""

import os
import subprocess
import sys
import textwrap

import pytest

USE = """
import syncopy as spy
import syncopy
from syncopy import AnalogData, freqanalysis
from syncopy.synthdata import white_noise, AR2_network
from syncopy.shared.errors import SPYError, SPYValueError, SPYTypeError, SPYIOError, SPYParallelError
from syncopy.shared.tools import StructDict, get_defaults
from syncopy.io import load, save
from syncopy.datatype import SpectralData
from syncopy.datatype.continuous_data import AnalogData as Same
from syncopy.specest.freqanalysis import freqanalysis as same
import syncopy.shared.errors, syncopy.specest
import rayspy
assert spy.__version__ == rayspy.__version__
assert AnalogData is Same is rayspy.AnalogData and freqanalysis is same is rayspy.freqanalysis
assert issubclass(SPYValueError, SPYError) and SPYValueError is rayspy.errors.InvalidValueError
assert SPYTypeError is rayspy.errors.InvalidTypeError and SPYIOError is rayspy.errors.PathError
assert spy.synthdata.white_noise and syncopy.shared.errors.SPYValueError is SPYValueError
cfg = get_defaults(spy.freqanalysis)
cfg = StructDict(); cfg.method = "mtmfft"
out = freqanalysis(cfg, white_noise(nTrials=2, nChannels=2))
assert isinstance(out, SpectralData)
try:
    spy.freqanalysis(out, method="nonsense")
except SPYError as error:
    print("caught", type(error).__name__)
"""


def run(*arguments, folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RAYSPY_TMPDIR": str(folder)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def use():
    import rayspy

    return USE if hasattr(rayspy.synthdata, "AR2_network") else USE.replace(", AR2_network", "")


def test_import_paths_of_user_scripts(use, tmp_path):
    code = "import rayspy_compat; rayspy_compat.install_as_syncopy()\n" + use
    done = run("-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("caught Invalid")


def test_an_old_script_runs_unedited(use, tmp_path):
    (tmp_path / "helper.py").write_text("import syncopy\nVALUE = syncopy.AnalogData\n")
    script = tmp_path / "old.py"
    script.write_text(
        use + "import sys, helper\nif __name__ == '__main__':\n    print(sys.argv[1:], __file__)\n"
    )
    done = run("-m", "rayspy_compat", script, "--trials", "3", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "['--trials', '3']" in done.stdout
    assert "old.py" in done.stdout


def test_an_installed_syncopy_is_not_touched(tmp_path):
    (tmp_path / "syncopy").mkdir()
    real = tmp_path / "syncopy" / "__init__.py"
    real.write_text("REAL = True\n")
    code = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import rayspy_compat
    if sys.argv[2] == "first":
        import syncopy
        try:
            rayspy_compat.install_as_syncopy()
        except ImportError as error:
            print(syncopy.REAL, error)
    else:
        rayspy_compat.install_as_syncopy()
        import syncopy
        print(hasattr(syncopy, "REAL"), syncopy.AnalogData.__module__)
    """
    first = run("-c", textwrap.dedent(code), tmp_path, "first", folder=tmp_path)
    assert first.stdout.startswith("True Syncopy is imported already")
    later = run("-c", textwrap.dedent(code), tmp_path, "later", folder=tmp_path)
    assert later.stdout == "False rayspy.data.analog\n"
    assert real.read_text() == "REAL = True\n"


def test_what_rayspy_lacks_is_said(tmp_path):
    code = (
        "import rayspy_compat; rayspy_compat.install_as_syncopy()\nfrom syncopy.io import nothing_of_the_kind"
    )
    assert "nothing_of_the_kind" in run("-c", code, folder=tmp_path).stderr
    code = "import rayspy_compat; rayspy_compat.install_as_syncopy()\nimport syncopy; syncopy.nothing"
    assert "migration table" in run("-c", code, folder=tmp_path).stderr


def test_a_missing_script_is_named(tmp_path):
    assert (
        "nowhere.py does not exist"
        in run("-m", "rayspy_compat", tmp_path / "nowhere.py", folder=tmp_path).stderr
    )


def test_importing_the_package_imports_neither_dask_nor_ray(tmp_path):
    code = """
    import sys
    import rayspy_compat.attach
    print([name for name in ("dask", "distributed", "ray") if name in sys.modules])
    """
    assert run("-c", textwrap.dedent(code), folder=tmp_path).stdout == "[]\n"


@pytest.mark.parametrize(
    ("strict", "expected"),
    [("", "[[-1.0], [-3.0]] [[0.5], [0.25]]"), ("True", "[[1.0], [3.0]] [[2.0], [4.0]]")],
)
def test_reflected_operations(strict, expected, tmp_path):
    code = f"import rayspy_compat; rayspy_compat.install_as_syncopy({strict})"
    code += """
import syncopy as spy, numpy as np
data = spy.AnalogData(np.array([[2.0], [4.0]]))
print((1 - data).data[()].tolist(), (1 / data).data[()].tolist())
try:
    2 ** data
except TypeError:
    print("refused")
"""
    lines = run("-c", code, folder=tmp_path).stdout.splitlines()
    assert lines == [expected] + ["refused"] * bool(strict)


LOGS = """
import logging, sys
logging.getLogger("syncopy").setLevel("WARNING")
import rayspy_compat
rayspy_compat.install_as_syncopy()
import syncopy as spy
assert logging.getLogger("syncopy") is logging.getLogger("rayspy")
assert logging.getLogger("rayspy").level == logging.WARNING
spy.log("not shown")
spy.set_loglevel("IMPORTANT")
spy.log("shown")
spy.log("nor this", level="INFO")
assert logging.getLevelName(25) == "IMPORTANT" and logging.IMPORTANT == 25
"""


def test_logger_level_and_log_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPYLOGDIR", str(tmp_path / "logs"))
    done = run("-c", LOGS, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["rayspy <log> IMPORTANT: shown"]
    assert (tmp_path / "logs" / "syncopy.log").read_text().endswith("rayspy <log> IMPORTANT: shown\n")


def test_level_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SPYLOGLEVEL", "error")
    done = run("-c", "import rayspy; print(rayspy.config.log_level)", folder=tmp_path)
    assert done.stdout.split() == ["ERROR"]
