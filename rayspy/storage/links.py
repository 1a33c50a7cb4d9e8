"""Where the numbers of an HDF5 file are: in itself, or in other files that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rayspy.errors import InvalidValueError

_DEEPEST = 8
"""Files that name files that name files ..."""


def check_links(file: Any, path: Path, outside: bool | None = False) -> None:
    """Refuse a file whose links, external or virtual datasets lead out of its folder.

    Nothing outside is opened; files in the folder that it names are looked through in the same way.

    Parameters
    ----------
    file : h5py.File
        The open file.
    path : path
        Its full name.
    outside : bool or None
        Files elsewhere are allowed; None: they are not, and there is no argument that allows them.

    Raises
    ------
    InvalidValueError
        The message names what leads where.
    """
    if outside:
        return
    try:
        _look_through(file, path, path.parent, {path}, 0)
    except _LeadsOutError as error:
        place, other = error.args
        hint = "" if outside is None else ", or outside=True"
        legal = f"HDF5 file without links to other files than those beside it{hint}"
        raise InvalidValueError(legal, place, f"link to {other!r}") from None


class _LeadsOutError(Exception):
    """What names what."""


def _look_through(file: Any, path: Path, folder: Path, seen: set[Path], depth: int) -> None:
    import h5py

    named: list[tuple[str, str]] = []

    def link(name: bytes, info: Any) -> None:
        if info.type == h5py.h5l.TYPE_EXTERNAL:
            named.append((_text(name), file.get(name, getlink=True).filename))

    def node(name: bytes, info: Any) -> None:
        if info.type != h5py.h5o.TYPE_DATASET or not is_elsewhere(h5py.h5d.open(file.id, name)):
            return
        one = file[name]
        for other in one.external or ():  # is looked for in the folder that the process runs in
            raise _leads_out(path, _text(name), _text(other[0]))
        named.extend((_text(name), other) for other in files_of(one))

    file.id.links.visit(link, info=True)
    h5py.h5o.visit(file.id, node, info=True)
    for name, other in named:
        target = _inside(folder, path, name, other)
        if target in seen:
            continue
        seen.add(target)
        if depth == _DEEPEST:
            raise _leads_out(path, name, f"{other}, through too many files")
        if h5py.is_hdf5(target):
            with h5py.File(target, "r", locking=False) as inner:
                _look_through(inner, target, folder, seen, depth + 1)


def is_elsewhere(dataset: Any) -> bool:
    """Whether the numbers of a dataset (`h5py.h5d.DatasetID`) may be in other files."""
    import h5py

    how = dataset.get_create_plist()
    return bool(how.get_external_count()) or how.get_layout() == h5py.h5d.VIRTUAL


def files_of(dataset: Any) -> list[str]:
    """Names of other files that have numbers of a dataset."""
    found = [_text(name) for name, _, _ in dataset.external or ()]
    if dataset.is_virtual:
        found += [_text(one.file_name) for one in dataset.virtual_sources()]
    return sorted({name for name in found if name != "."})


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _inside(folder: Path, path: Path, name: str, other: str) -> Path:
    """Full name of a file that has to be in the folder, also behind symbolic links."""
    plain = "\0" not in other and "%" not in other and ".." not in Path(other).parts
    target = path.parent / other
    if not plain or Path(other).is_absolute() or not target.is_file():
        raise _leads_out(path, name, other)
    resolved = target.resolve()
    if not resolved.is_relative_to(folder):
        raise _leads_out(path, name, other)
    return resolved


def _leads_out(path: Path, name: str, other: str) -> _LeadsOutError:
    return _LeadsOutError(f"{path}: {name}", other)
