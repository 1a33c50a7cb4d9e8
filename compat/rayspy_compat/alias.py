"""Syncopy's name for rayspy: old scripts run unedited, in this process only."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

_NAME = "syncopy"

_ERRORS = {
    "SPYError": "RayspyError",
    "SPYValueError": "InvalidValueError",
    "SPYTypeError": "InvalidTypeError",
    "SPYIOError": "PathError",
    "SPYParallelError": "ParallelError",
}

_FIRST_SOURCE = {"shared.errors": "rayspy.errors", "synthdata": "rayspy.synthdata"}
"""Where names of a module are looked for first; all others, and what is not found there: in rayspy."""

_MODULES = {
    "shared": ("errors", "tools", "parsers", "const_def"),
    "synthdata": ("analog", "spikes"),
    "io": ("load_spy_container", "save_spy_container", "load_ft", "load_nwb", "load_tdt", "mne_conv"),
    "datatype": (
        *("base_data", "continuous_data", "discrete_data", "statistical_data"),
        *("selector", "util", "methods", "methods.selectdata", "methods.show", "methods.arithmetic"),
        *("methods.concat", "methods.copy", "methods.definetrial", "methods.redefinetrial"),
    ),
    "specest": ("freqanalysis",),
    "preproc": ("preprocessing", "resampledata"),
    "connectivity": ("connectivity_analysis",),
    "statistics": ("summary_stats", "timelockanalysis", "spike_psth"),
    "plotting": ("spy_plotting",),
}
"""Modules of Syncopy that user scripts import from."""

_KNOWN = frozenset({*_MODULES, *(f"{top}.{module}" for top, below in _MODULES.items() for module in below)})


def install_as_syncopy(strict: bool = False) -> None:
    """Make ``import syncopy`` and its submodules mean rayspy in this process.

    An installed Syncopy is neither changed nor used. Has to come before the
    first ``import syncopy``.

    Parameters
    ----------
    strict : bool
        Calculate as Syncopy does where it swaps operands: ``1 - x`` gives
        ``x - 1``, ``1 / x`` gives ``x / 1``, ``2 ** x`` is refused. Holds for all
        of rayspy in this process.

    Raises
    ------
    ImportError
        The real Syncopy was imported already.
    """
    loaded = sys.modules.get(_NAME)
    if loaded is not None and not isinstance(loaded, _Alias):
        raise ImportError(
            "Syncopy is imported already; call rayspy_compat.install_as_syncopy() before `import syncopy`"
        )
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    if strict:
        _swap_operands()


def _swap_operands() -> None:
    """Let reflected operations put the object on the left."""
    operators: Any = importlib.import_module("rayspy.data.operators").Operators
    operators.__rsub__ = operators.__sub__
    operators.__rtruediv__ = operators.__truediv__
    operators.__rpow__ = lambda data, other: NotImplemented


class _Alias(types.ModuleType):
    """A module that looks its names up in rayspy."""

    _sources: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for source in self._sources:
            found = getattr(importlib.import_module(source), _ERRORS.get(name, name), None)
            if found is not None:
                return found
        raise AttributeError(
            f"module '{self.__name__}' has no attribute '{name}': rayspy stands in for Syncopy here and has "
            f"no '{name}'; see the migration table in rayspy's README"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Functions of the user that run on workers take the module along."""
        return _import_alias, (self.__name__,)

    def __dir__(self) -> list[str]:
        return sorted({name for source in self._sources for name in dir(importlib.import_module(source))})


def _import_alias(name: str) -> types.ModuleType:
    install_as_syncopy()
    return importlib.import_module(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``syncopy`` and everything below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim every name of Syncopy that rayspy stands in for."""
        if fullname != _NAME and not fullname.startswith(f"{_NAME}."):
            return None
        if _sources(fullname) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make an empty module."""
        made = _Alias(spec.name, f"rayspy under the name {spec.name}.")
        made._sources = _sources(spec.name) or ()
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill in what ``from syncopy import *`` takes, and the version."""
        if module.__name__ == _NAME:
            rayspy = importlib.import_module("rayspy")
            importlib.import_module("rayspy_compat.logs").share_logger()
            module.__dict__.update(__all__=list(rayspy.__all__), __version__=rayspy.__version__)


def _sources(fullname: str) -> tuple[str, ...] | None:
    """Where the names of a module come from; None: there is no such module."""
    below = fullname.removeprefix(_NAME).lstrip(".")
    if not below:
        return ("rayspy", "rayspy_compat", "rayspy_compat.logs")
    if below not in _KNOWN:
        return None
    first = _FIRST_SOURCE.get(below)
    return ("rayspy",) if first is None else (first, "rayspy")
