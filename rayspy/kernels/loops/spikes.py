"""Loops over the spikes of a trial in the order of time: intervals, and pairs that are close in time."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]


@compiled
def find_cells(
    rows: Array, columns: Array, low: Array, sizes: Array, table: Array, samples: Array, cells: Array
) -> None:
    """Look up the cell of each row.

    Parameters
    ----------
    rows : ndarray of int64, shape (rows, columns)
        Spikes.
    columns : ndarray of int64, shape (3,)
        Columns of sample, channel and unit.
    low, sizes : ndarray of int64, shape (2,)
        Lowest code of channel and unit, and number of codes from there on.
    table : ndarray of int64, shape (sizes[0] * sizes[1],)
        Cell of each pair of codes, -1 where there is none.
    samples, cells : ndarray of int64, shape (rows,)
        Are written: sample, and cell or -1.
    """
    for i in range(len(rows)):
        samples[i] = rows[i, columns[0]]
        channel, unit = rows[i, columns[1]] - low[0], rows[i, columns[2]] - low[1]
        if 0 <= channel < sizes[0] and 0 <= unit < sizes[1]:
            cells[i] = table[channel * sizes[1] + unit]
        else:
            cells[i] = -1


@compiled
def count_rows(
    rows: Array, columns: Array, low: Array, sizes: Array, table: Array, edges: Array, counts: Array
) -> None:
    """Do what `find_cells` and `count_in_bins` do one after the other, in one go over the rows."""
    at, of_channel, of_unit = columns[0], columns[1], columns[2]
    low_channel, low_unit, n_channels, n_units = low[0], low[1], sizes[0], sizes[1]
    k, until = -1, edges[0]
    for i in range(len(rows)):
        sample = rows[i, at]
        while sample >= until:
            k += 1
            if k == len(counts):
                return
            until = edges[k + 1]
        if k < 0:
            continue
        channel, unit = rows[i, of_channel] - low_channel, rows[i, of_unit] - low_unit
        if 0 <= channel < n_channels and 0 <= unit < n_units:
            cell = table[channel * n_units + unit]
            if cell >= 0:
                counts[k, cell] += 1


@compiled
def divide_rows(values: Array, widths: Array) -> None:
    """Divide each row by a number of its own, in double precision and in place.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, cells)
        Is changed.
    widths : ndarray of float64, shape (rows,)
        What rows are divided by.
    """
    for k in range(values.shape[0]):
        width = widths[k]
        for cell in range(values.shape[1]):
            values[k, cell] = float(values[k, cell]) / width


@compiled
def count_in_bins(samples: Array, cells: Array, edges: Array, counts: Array) -> None:
    """Add the spikes of each cell to the bin they are in.

    Parameters
    ----------
    samples, cells : ndarray of int64, shape (spikes,)
        Ascending sample numbers, and cells; negative ones are left out.
    edges : ndarray of int64, shape (bins + 1,)
        First sample of each bin, and the first one behind the last bin; ascending.
    counts : ndarray of int64, shape (bins, cells)
        Is added to.
    """
    k = 0
    for i in range(len(samples)):
        if samples[i] < edges[0]:
            continue
        while k < len(counts) and samples[i] >= edges[k + 1]:
            k += 1
        if k == len(counts):
            break
        if cells[i] >= 0:
            counts[k, cells[i]] += 1


@compiled
def intervals(
    samples: Array, cells: Array, width: float, refractory: float, last: Array, before: Array,
    histogram: Array, sums: Array,
) -> None:  # fmt: skip
    """Add up functions of the intervals between the spikes of each cell.

    Parameters
    ----------
    samples, cells : ndarray of int64, shape (spikes,)
        Ascending sample numbers, and cells; negative ones are left out.
    width : float
        Width of the bins of the histogram in samples; bin k has intervals from k * width on.
    refractory : float
        Intervals below this many samples are counted as violations.
    last, before : ndarray of int64, shape (cells,)
        Memory: -1 to begin with.
    histogram : ndarray of float64, shape (bins, cells)
        Is added to; intervals beyond the last bin are not in it.
    sums : ndarray of float64, shape (7, cells)
        Is added to: number, sum, sum of squares, violations; pairs of neighbours,
        their |a - b| / (a + b), and its square.
    """
    for i in range(len(samples)):
        cell = cells[i]
        if cell < 0:
            continue
        if last[cell] >= 0:
            interval = samples[i] - last[cell]
            place = int(interval / width)
            if place < len(histogram):
                histogram[place, cell] += 1
            sums[0, cell] += 1
            sums[1, cell] += interval
            sums[2, cell] += float(interval) * float(interval)
            if interval < refractory:
                sums[3, cell] += 1
            if before[cell] >= 0:
                both = interval + before[cell]
                if both > 0:
                    contrast = abs(interval - before[cell]) / both
                    sums[4, cell] += 1
                    sums[5, cell] += contrast
                    sums[6, cell] += contrast * contrast
            before[cell] = interval
        last[cell] = samples[i]


@compiled
def close_pairs(samples: Array, cells: Array, width: int, n_lags: int, counts: Array) -> None:
    """Count pairs of spikes by their distance in time.

    Parameters
    ----------
    samples, cells : ndarray of int64, shape (spikes,)
        Ascending sample numbers, and cells; negative ones are left out.
    width : int
        Width of the bins in samples.
    n_lags : int
        Bins on either side of that around zero.
    counts : ndarray of float64, shape (2 * n_lags + 1, cells, cells)
        Is added to: ``counts[n_lags + k, a, b]`` are spikes of b that come k bins after
        one of a. A spike does not count with itself.
    """
    furthest = (2 * n_lags + 1) * width
    for i in range(len(samples)):
        a = cells[i]
        if a < 0:
            continue
        for j in range(i + 1, len(samples)):
            distance = samples[j] - samples[i]
            if 2 * distance >= furthest:
                break
            b = cells[j]
            if b < 0:
                continue
            k = (2 * distance + width) // (2 * width)
            counts[n_lags + k, a, b] += 1
            counts[n_lags - k, b, a] += 1


@compiled
def close_pairs_of_two(
    first: Array,
    first_cells: Array,
    second: Array,
    second_cells: Array,
    width: int,
    n_lags: int,
    counts: Array,
) -> None:
    """Count pairs of a spike of one trial and a spike of another one, as `close_pairs` does."""
    furthest = (2 * n_lags + 1) * width
    low = 0
    for i in range(len(first)):
        a = first_cells[i]
        if a < 0:
            continue
        while low < len(second) and 2 * (first[i] - second[low]) >= furthest:
            low += 1
        for j in range(low, len(second)):
            distance = second[j] - first[i]
            if 2 * distance >= furthest:
                break
            b = second_cells[j]
            if b < 0:
                continue
            if distance >= 0:
                k = (2 * distance + width) // (2 * width)
            else:
                k = -((width - 2 * distance) // (2 * width))
            counts[n_lags + k, a, b] += 1
