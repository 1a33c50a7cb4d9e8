"""What Neo reads: layouts that it describes become sources of ours, all other files are read through it.

SpikeGLX, Open Ephys binary, Neuroscope, Micromed, raw MCS, MaxWell, Axon, Elan, WinWCP, WinEDR and
NeuroNexus are described; Neuralynx, Blackrock, Plexon, TDT, Intan, Spike2, AlphaOmega ... are not.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_path
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidValueError
from rayspy.io.readers.recording import (
    Mark,
    Notes,
    Recording,
    Stream,
    check_counts,
    damaged,
    required,
    unique_names,
)
from rayspy.io.spikes import spikes_from_times
from rayspy.storage.derived import RunsSource
from rayspy.storage.reading import reader_source
from rayspy.storage.scaled import TransposedSource
from rayspy.storage.sources import ArraySource, ConcatSource, RawSource

Array = NDArray[Any]
_FILES = {".bin": "SpikeGLX", ".meta": "SpikeGLX", ".oebin": "OpenEphysBinary", ".fake": "Example"}
_FOLDERS = {
    ".tsq": "Tdt", ".tbk": "Tdt", ".ncs": "Neuralynx", ".nse": "Neuralynx", ".ntt": "Neuralynx",
    ".continuous": "OpenEphys", ".rhd": "Intan", ".rhs": "Intan", ".meta": "SpikeGLX",
    **{f".ns{k}": "Blackrock" for k in range(1, 7)}, ".plx": "Plexon", ".pl2": "Plexon2",
}  # fmt: skip
_LARGEST_TEXT = 2**26
_WITHIN = 0.99
"""Where the clock of a recording is off by this many samples or more, it paused."""


class NeoReader:
    """An open reader of `neo.rawio`; reads one stream of one segment by ranges of samples."""

    def __init__(self, raw: Any, block: int, segment: int, stream: int) -> None:
        self.raw = raw
        self.place = (block, segment)
        self.stream = stream

    def read(self, first: int, stop: int, channels: slice) -> Array:
        """Return samples x channels as stored."""
        block, segment = self.place
        array: Array = self.raw.get_analogsignal_chunk(
            block_index=block,
            seg_index=segment,
            i_start=first,
            i_stop=stop,
            stream_index=self.stream,
            channel_indexes=channels,
        )
        return array


def open_raw(path: str, reader: str | None = None, **options: Any) -> Any:
    """Open a file with the class of `neo.rawio` that fits; reads its header."""
    return _opened(path, reader, options)[0]


def _opened(path: str, reader: str | None, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Reader, and options that it needed besides the given ones."""
    try:
        from neo import rawio
    except ImportError:
        raise required("neo", "this format") from None
    known = {name[:-5].lower(): made for name, made in vars(rawio).items() if name.endswith("RawIO")}
    named = reader or _guess(Path(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = rawio.get_rawio(path) if named is None else known.get(named.lower())
        if made is None:
            names = ", ".join(c.__name__.removesuffix("RawIO") for c in rawio.rawiolist)
            raise InvalidValueError(f"file that Neo reads; reader= names one of {names}", "path", path)
        place: dict[str, Any] = _place(Path(path), made)
        if "progress_bar" in inspect.signature(made).parameters:
            place["progress_bar"] = False
        if made.__name__ == "OpenEphysBinaryRawIO":
            _check_oebin(Path(place["dirname"]))
        if made.__name__ == "NeuroScopeRawIO":
            _check_channels(Path(place["filename"]), rb"<nChannels>\s*(\d{1,20})")
        if made.__name__ == "SpikeGLXRawIO":
            for file in Path(place["dirname"]).rglob("*.meta"):
                _check_channels(file, rb"nSavedChans\s*=\s*(\d{1,20})")
        return _parsed(made, {**place, **options})


def _check_channels(file: Path, pattern: bytes) -> None:
    """Refuse a description of more channels than there are, for each of which Neo would make an entry."""
    with file.open("rb") as opened:
        stated = re.search(pattern, opened.read(_LARGEST_TEXT))
    if stated:
        check_counts(file, channels=int(stated.group(1)))


def _check_oebin(folder: Path) -> None:
    """Refuse descriptions whose folders are not below their own."""
    for file in folder.rglob("structure.oebin"):
        try:
            told = json.loads(file.read_text("utf-8"))
            parts = [part for key in ("continuous", "events", "spikes") for part in told.get(key, [])]
            names = [str(part[key]) for part in parts for key in ("folder_name", "folder") if key in part]
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise damaged(file, f"it is no description of a recording: {error}") from error
        for name in names:
            plain = Path(name.replace("\\", "/"))
            if plain.is_absolute() or ".." in plain.parts:
                raise InvalidValueError("folders below the description", f"{file}: folder_name", name)


def _parsed(made: Any, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Open with what Neo asks for: pauses separate segments, events that do not fit are left out."""
    more: dict[str, Any] = {}
    while True:
        raw = made(**arguments, **more)
        try:
            raw.parse_header()
            _mend(raw)
            return raw, more
        except (ValueError, OSError, RuntimeError) as error:
            found = _asked_for(raw, {*arguments, *more}, str(error))
            if not found:
                raise
            more |= found


def _mend(raw: Any) -> None:
    """Have Neo 0.14 read the last block of Plexon's signals, which it leaves 0: an empty one goes behind."""
    if type(raw).__name__ != "PlexonRawIO":
        return
    found = raw._data_blocks[5]
    for channel, blocks in found.items():
        end = np.zeros(1, blocks.dtype)
        end["cumsum"] = int(blocks["size"].sum()) // 2
        found[channel] = np.concatenate([blocks, end])


def _asked_for(raw: Any, given: set[str], text: str) -> dict[str, Any]:
    """Options that a reader wants, going by its error."""
    takes = set(inspect.signature(type(raw)).parameters) - given
    if "gap_tolerance_ms" in takes and "gap_tolerance_ms" in text:
        headers = getattr(raw, "file_headers", {}).values()
        rates = [float(one["sampling_rate"]) for one in headers if "sampling_rate" in one]
        return {"gap_tolerance_ms": _WITHIN * 1000 / max(rates) if rates else 0.0}
    if "load_nev" in takes and "nev file" in text:
        return {"load_nev": False}
    return {}


def _guess(path: Path) -> str | None:
    """Name of the class for files whose suffix does not tell, and for folders."""
    if path.is_dir():
        if next(path.rglob("structure.oebin"), None) is not None:
            return "OpenEphysBinary"
        names = {child.suffix.lower() for child in path.iterdir()}
        return next((name for suffix, name in _FOLDERS.items() if suffix in names), None)
    suffix = path.suffix.lower()
    if suffix == ".nev":
        with path.open("rb") as file:
            return "Neuralynx" if file.read(8) == b"########" else "Blackrock"
    if suffix in (".dat", ".lfp", ".eeg", ".xml") and path.with_suffix(".xml").is_file():
        return "NeuroScope"
    return {".bin": "SpikeGLX", ".meta": "SpikeGLX", ".oebin": "OpenEphysBinary", ".fake": "Example"}.get(
        suffix
    )


def _place(path: Path, made: Any) -> dict[str, str]:
    """Arguments of a class that takes a file or a folder."""
    takes = inspect.signature(made).parameters
    if "include_filenames" in takes and path.is_file():
        return {"dirname": str(path.parent), "include_filenames": path.name}
    if made.__name__ == "TdtRawIO" and path.is_dir():  # a folder of folders, or one with the files
        index = next((one for one in sorted(path.iterdir()) if one.suffix.lower() == ".tsq"), path)
        return {"dirname": str(index)}
    if "dirname" in takes:
        return {"dirname": str(path if path.is_dir() else path.parent)}
    path = _only_file(path, made) if path.is_dir() else path
    if path.suffix.lower() in (".dat", ".lfp", ".eeg") and "binary_file" in takes:
        return {"filename": str(path.with_suffix(".xml")), "binary_file": str(path)}
    return {"filename": str(path)}


def _only_file(folder: Path, made: Any) -> Path:
    """The file of a folder that a class reads; files of the same name belong together."""
    suffixes = {f".{one.lower()}" for one in made.extensions} - {".dat"}
    files = sorted(one for one in folder.iterdir() if one.suffix.lower() in suffixes)
    if not files:
        raise InvalidValueError(f"folder with a file {', '.join(sorted(suffixes))}", "path", folder)
    if len({one.stem for one in files}) > 1:
        legal = "folder with one recording; name one of its files, or a list of them"
        raise InvalidValueError(legal, "path", f"{folder} with {files[0].name}, {files[-1].name} ...")
    return files[0]


def open_part(path: str, block: int, segment: int, stream: int, **options: Any) -> NeoReader:
    """Open one stream of one segment."""
    return NeoReader(open_raw(path, **options), block, segment, stream)


def open_neo(path: Any, reader: str | None = None, **options: Any) -> Recording:
    """Describe a file or folder that Neo reads.

    Parameters
    ----------
    path : path
        File or folder.
    reader : str, optional
        Neo's name of the format (``"Blackrock"``, ``"TDT"`` ...) where the name of the file does not tell.
    **options
        For the class of `neo.rawio`.
    """
    full = check_path(path, "path").resolve()
    notes = Notes(full)
    how = {**({"reader": reader} if reader is not None else {}), **options}
    raw, more = _opened(str(full), reader, options)
    how |= more
    if "load_nev" in more:
        notes.add(
            "Neo cannot tell which piece of the recording events and spikes belong to; they are left out"
        )
    kind = type(raw).__name__.removesuffix("RawIO")
    parts = [(b, s) for b in range(raw.block_count()) for s in range(raw.segment_count(b))]
    if not parts:
        raise damaged(full, "it has no segments")
    streams = [_stream(raw, k, parts, str(full), how, notes) for k in range(raw.signal_streams_count())]
    found = [stream for stream in streams if stream is not None]
    if full.is_file() and kind == "SpikeGLX":
        found = [one for one in found if f".{one.name.removesuffix('-SYNC')}." in f".{full.name}"] or found
    spikes = partial(_spikes, raw, parts, found) if raw.spike_channels_count() else None
    if not found and spikes is None:
        raise InvalidValueError("recording with signals or spikes", "path", full)
    return Recording(str(full), kind, found, notes, spikes)


def _stream(
    raw: Any, k: int, parts: list[tuple[int, int]], path: str, how: dict[str, Any], notes: Notes
) -> Stream | None:
    header = raw.header["signal_streams"][k]
    channels = raw.header["signal_channels"]
    channels = channels[channels["stream_id"] == header["id"]]
    sources = [_source(raw, k, part, len(channels), path, how) for part in parts]
    lengths = [source.shape[0] for source in sources]
    if not len(channels) or not sum(lengths):
        return None
    rate = float(raw.get_signal_sampling_rate(stream_index=k))
    names = unique_names([str(name) for name in channels["name"]], notes)
    starts = [float(raw.get_signal_t_start(*part, stream_index=k)) for part in parts]
    edges = np.cumsum([0, *lengths])
    source = sources[0] if len(sources) == 1 else ConcatSource(tuple(sources))
    pieces = None
    if len(parts) > 1:
        since = np.round((np.array(starts) - starts[0]) * rate)
        apart = (np.diff(since) >= lengths[:-1]).all() and len({block for block, _ in parts}) == 1
        pieces = np.column_stack([edges[:-1], edges[1:], since if apart else since * np.nan])
        pieces = pieces[pieces[:, 1] > pieces[:, 0]]
    return Stream(
        name=str(header["name"]),
        source=source,
        samplerate=rate,
        channel=names,
        unit=[str(unit) for unit in channels["units"]],
        scale=[float(gain) for gain in channels["gain"]],
        bias=[float(offset) for offset in channels["offset"]],
        pieces=pieces,
        marks=_marks(raw, parts, rate, starts, edges),
        info={
            "channel_ids": {n: str(i) for n, i in zip(names, channels["id"], strict=True)},
            "segment_starts": starts,
            "segment_samples": lengths,
        },
    )


def _source(
    raw: Any, k: int, part: tuple[int, int], n_channels: int, path: str, how: dict[str, Any]
) -> ArraySource:
    """Source of a stream of a segment: of ours where Neo describes the layout."""
    described = _described(raw, k, part, Path(path) if Path(path).is_dir() else Path(path).parent)
    if described is not None:
        return described
    opened = NeoReader(raw, *part, k)
    n = int(raw.get_signal_size(*part, stream_index=k))
    first = opened.read(0, min(1, n), slice(None))
    options = {**how, "block": part[0], "segment": part[1], "stream": k}
    return reader_source(opened, (n, n_channels), first.dtype, path, __name__, "open_part", options)


def _described(raw: Any, k: int, part: tuple[int, int], root: Path) -> ArraySource | None:
    if not raw.has_buffer_description_api():
        return None
    header = raw.header["signal_streams"][k]
    layout = raw.get_analogsignal_buffer_description(*part, buffer_id=header["buffer_id"])
    turned = layout.get("time_axis", 0) == 1
    shape = tuple(int(n) for n in layout["shape"])
    path = str(Path(layout["file_path"]).resolve())
    if not Path(os.path.normpath(layout["file_path"])).is_relative_to(root):
        raise InvalidValueError("recording whose files are in its folder", "path", path)
    source: ArraySource
    if layout["type"] == "raw" and layout.get("order", "C") == "C":
        stored = np.dtype(layout["dtype"])
        plain = shape[::-1] if turned else shape
        source = RawSource(path, stored, plain, "F" if turned else "C", int(layout["file_offset"]))
    elif layout["type"] == "hdf5":
        source = _hdf5(path, layout["hdf5_path"], shape)
        source = TransposedSource(source) if turned else source
    else:
        return None
    picked = raw._stream_buffer_slice[header["id"]]
    if picked is None:
        return source
    columns = np.arange(source.shape[1])[picked]
    rows = np.array([0], np.int64), np.array([source.shape[0]], np.int64)
    return RunsSource(source, 0, *rows, {1: columns})


def _hdf5(path: str, name: str, shape: tuple[int, ...]) -> ArraySource:
    from rayspy.io.readers.hdf5 import dataset_source, opened

    with opened(Path(path)) as file:
        source = dataset_source(file, file[name], Path(path))
    if source.shape != shape:
        raise damaged(path, f"{name} has shape {source.shape}, not {shape}")
    return source


def _marks(
    raw: Any, parts: list[tuple[int, int]], rate: float, starts: list[float], edges: Array
) -> list[Mark]:
    marks: list[Mark] = []
    for k in range(raw.event_channels_count()):
        name = str(raw.header["event_channels"][k]["name"])
        for part, start, edge in zip(parts, starts, edges, strict=False):
            stamps, durations, labels = raw.get_event_timestamps(*part, event_channel_index=k)
            if not len(stamps):
                continue
            times = raw.rescale_event_timestamp(stamps, dtype="float64", event_channel_index=k)
            spans = np.zeros(len(times))
            if durations is not None:
                spans = raw.rescale_epoch_duration(durations, dtype="float64", event_channel_index=k)
            samples = np.round((times - start) * rate).astype(np.int64) + int(edge)
            marks += [
                Mark(int(sample), f"{name}/{label}", max(0, round(float(span) * rate)))
                for sample, label, span in zip(samples, labels, spans, strict=True)
            ]
    return marks


def _spikes(raw: Any, parts: list[tuple[int, int]], streams: list[Stream]) -> SpikeData | None:
    """Spikes of all units at the samples of the fastest stream; at 30 kHz without one."""
    fastest = max(range(len(streams)), key=lambda k: streams[k].samplerate, default=None)
    if fastest is None:
        rate = 30_000.0
        starts = [float(raw.segment_t_start(*part)) for part in parts]
        lengths = [
            round((float(raw.segment_t_stop(*part)) - a) * rate) + 1
            for part, a in zip(parts, starts, strict=True)
        ]
    else:
        rate, info = streams[fastest].samplerate, streams[fastest].info
        starts, lengths = info["segment_starts"], info["segment_samples"]
    edges = np.cumsum([0, *lengths])
    trains: dict[str, Array] = {}
    for k in range(raw.spike_channels_count()):
        samples = []
        for part, start, low, high in zip(parts, starts, edges[:-1], edges[1:], strict=True):
            stamps = raw.get_spike_timestamps(*part, spike_channel_index=k)
            times = np.asarray(raw.rescale_spike_timestamp(stamps, dtype="float64"))
            found = np.unique(np.round((times - start) * rate)) + low
            samples.append(found[(found >= low) & (found < high)])
        name = str(raw.header["spike_channels"][k]["name"])
        trains[name if name not in trains else f"{name}-{k}"] = np.concatenate(samples)
    if not sum(map(len, trains.values())):
        return None
    return spikes_from_times(trains, rate, time_unit="samples")
