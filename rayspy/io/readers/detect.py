"""What a file or folder is, by its name and its first bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rayspy.errors import InvalidValueError
from rayspy.io.readers import matlab, tdt

_BY_SUFFIX = {
    ".vhdr": "brainvision", ".ahdr": "brainvision", ".vmrk": "brainvision", ".edf": "edf", ".bdf": "edf",
    ".rec": "edf", ".set": "eeglab", ".fdt": "eeglab", ".nwb": "nwb", ".npy": "npy", ".h5": "hdf5",
    ".hdf5": "hdf5", ".hdf": "hdf5",
}  # fmt: skip
_RAW = (".dat", ".bin", ".raw", ".lfp", ".i16", ".f32")
_MNE = (
    ".fif", ".sqd", ".con", ".cnt", ".cdt", ".dap", ".dat", ".data", ".egi", ".eeg", ".gdf", ".hdr", ".lay",
    ".mff", ".nxe", ".snirf", ".vhdr", ".imp", ".bdat",
)  # fmt: skip
_MNE_FOLDERS = (".mff", ".ds", ".mefd")
_NEO = (
    ".abf", ".edr", ".fake", ".maf", ".mcd", ".meta", ".ncs", ".nev", ".nrd", ".nse", ".ns1", ".ns2", ".ns3",
    ".ns4", ".ns5", ".ns6", ".oebin", ".pl2", ".plx", ".rhd", ".rhs", ".smr", ".smrx", ".trc", ".wcp", ".xml",
)  # fmt: skip
_NEO_IN_FOLDERS = {
    ".meta", ".ncs", ".nse", ".ntt", ".tsq", ".tbk", ".continuous", ".rhd", ".rhs", ".plx", ".pl2",
    *(f".ns{k}" for k in range(1, 7)),
}  # fmt: skip


def detect(path: Path, options: Mapping[str, Any]) -> str:
    """Name of the format.

    Raises
    ------
    InvalidValueError
        It is none that is known.
    """
    if "dtype" in options:
        return "raw"
    found = _of_folder(path) if path.is_dir() else _of_file(path)
    if found is None:
        legal = "recording in a format of spy.read_formats(); format= names it, dtype= reads raw binary files"
        raise InvalidValueError(legal, "path", path)
    return found


def _of_folder(path: Path) -> str | None:
    if path.suffix.lower() in _MNE_FOLDERS:
        return "mne"
    names = {child.suffix.lower() for child in path.iterdir()}
    if {".tsq", ".sev"} <= names:
        return "tdt"
    return "neo" if names & _NEO_IN_FOLDERS or any(path.rglob("structure.oebin")) else None


def _of_file(path: Path) -> str | None:
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\xffBIOSEMI") or (head.startswith(b"0       ") and suffix in (".edf", ".rec")):
        return "edf"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if suffix == ".mat":
        return "fieldtrip"
    if suffix == ".eeg" and path.with_suffix(".vhdr").is_file():
        return "brainvision"
    if suffix in (".tsq", ".sev", ".tev", ".tbk"):
        return "tdt" if tdt.is_tdt(path.parent) else "neo"
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix in _NEO or (suffix == ".bin" and path.with_suffix(".meta").is_file()):
        return "neo"
    if suffix in (".dat", ".lfp", ".eeg") and path.with_suffix(".xml").is_file():
        return "neo"
    if _is_egi(head, suffix) or (suffix == ".dat" and path.with_suffix(".lay").is_file()):
        return "mne"
    if suffix in _RAW:
        return "raw"
    if suffix in _MNE or path.name.lower().endswith((".fif.gz", ".mef")):
        return "mne"
    if head.startswith(b"Brain"):
        return "brainvision"
    return "hdf5" if matlab.is_hdf5(path) else None


def _is_egi(head: bytes, suffix: str) -> bool:
    """Whether a file begins as EGI's simple binary format: version, year, month, day."""
    if suffix not in (".raw", ".egi") or len(head) < 10:
        return False
    version, year, month, day = (int(number) for number in struct.unpack(">i3h", head[:10]))
    return 2 <= version <= 7 and 1980 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= 31
