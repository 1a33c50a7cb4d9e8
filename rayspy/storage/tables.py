"""Arrow tables in files that somebody else may have made: nothing in them becomes larger than the file.

rayspy writes tables without compression. One that is compressed, or whose columns
share their bytes, could be small in its file and fill the memory.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

_MAGIC, _END = b"ARROW1\0\0", b"ARROW1"
_HEADER, _COMPRESSION, _DICTIONARY = 2, 3, 1
"""Fields of the tables `Message`, `RecordBatch` and `DictionaryBatch` in Arrow's Message.fbs."""


def read_table(path: Path) -> Any:
    """Read an Arrow file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    pyarrow.Table
        Validated, no larger than the file.

    Raises
    ------
    ValueError, OSError, pyarrow.ArrowException
        It is damaged, or would become larger than the file.
    """
    import pyarrow as pa

    with pa.OSFile(str(path), "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("no Arrow file")
        for message in pa.ipc.MessageReader.open_stream(file):
            if message.type != "schema" and _is_compressed(message.metadata.to_pybytes(), message.type):
                raise ValueError("compressed, as rayspy never writes tables")
        size = file.size()
        file.seek(size - len(_END))
        if file.read() != _END:
            raise ValueError("its end is missing")
        file.seek(len(_MAGIC))
        table = pa.ipc.open_stream(file).read_all()
        table.validate(full=True)
    if table.nbytes > size:
        raise ValueError(f"{table.nbytes} bytes of columns in {size} bytes")
    return table


def _is_compressed(metadata: bytes, kind: str) -> bool:
    """Whether the message of a record batch, or of a dictionary, says how its bytes are compressed."""
    try:
        (root,) = struct.unpack_from("<I", metadata)
        batch = _target(metadata, _field(metadata, root, _HEADER))
        if kind == "dictionary":
            batch = _target(metadata, _field(metadata, batch, _DICTIONARY))
        return _field(metadata, batch, _COMPRESSION) > 0
    except struct.error as error:
        raise ValueError(f"a message that cannot be read ({error})") from error


def _field(metadata: bytes, table: int, number: int) -> int:
    """Place of a field of a table of FlatBuffers; 0 if it is left out."""
    (back,) = struct.unpack_from("<i", metadata, table)
    entries = table - back
    (size,) = struct.unpack_from("<H", metadata, entries)
    place = 4 + 2 * number
    if place + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, entries + place)
    return table + offset if offset else 0


def _target(metadata: bytes, place: int) -> int:
    """Where the table is that a field refers to."""
    (offset,) = struct.unpack_from("<I", metadata, place)
    return place + int(offset)
