"""The README's Python in a notebook: ``python -m tests.chaos.notebook``; needs nbclient and ipykernel.

Prints what cells wrote to stderr, which notebooks show in red.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def main() -> int:
    """Run all blocks as cells; returns the number of cells that wrote something red below a warning."""
    import nbformat
    from nbclient import NotebookClient

    blocks = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(block) for block in blocks])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "examples").symlink_to(README.parent / "examples")
        os.environ.update(RAYSPY_SCRATCH_DIR=folder, MPLBACKEND="Agg")
        NotebookClient(book, timeout=600, resources={"metadata": {"path": folder}}).execute()
    bad = 0
    for k, cell in enumerate(book.cells):
        for output in cell.outputs:
            if output.output_type == "stream":
                print(f"--- cell {k}, {output.name}\n{output.text}")
                bad += output.name == "stderr" and "WARNING" not in output.text
    return bad


if __name__ == "__main__":
    raise SystemExit(main())
