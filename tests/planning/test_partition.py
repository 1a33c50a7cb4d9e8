"""Properties of the partitioner."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.planning.partition import partition
from rayspy.planning.projection import widest_runs

sizes = st.lists(st.integers(1, 10**7), min_size=1, max_size=60).map(lambda s: np.array(s, dtype=np.int64))


def cover(blocks, n_trials, n_channels):
    count = np.zeros((n_trials, n_channels), dtype=int)
    for b in blocks:
        count[b.first_trial : b.stop_trial, b.first_channel : b.stop_channel] += 1
    return count


@settings(deadline=None)
@given(sizes, st.integers(1, 40), st.integers(1, 10**8), st.one_of(st.none(), st.integers(1, 50)))
def test_every_trial_and_channel_is_in_exactly_one_block(trial_bytes, n_channels, block_bytes, width):
    blocks = partition(trial_bytes, n_channels, block_bytes, width)
    assert (cover(blocks, len(trial_bytes), n_channels) == 1).all()


@settings(deadline=None)
@given(sizes, st.integers(1, 40), st.integers(1, 10**8), st.integers(1, 50))
def test_trials_are_grouped_the_same_for_every_channel_width(trial_bytes, n_channels, block_bytes, width):
    split = partition(trial_bytes, n_channels, block_bytes, width)
    whole = partition(trial_bytes, n_channels, block_bytes, n_channels)
    assert sorted({(b.first_trial, b.stop_trial) for b in split}) == [
        (b.first_trial, b.stop_trial) for b in whole
    ]


@settings(deadline=None)
@given(sizes, st.integers(1, 40), st.integers(1, 10**8), st.integers(1, 50))
def test_channels_are_split_exactly_as_asked(trial_bytes, n_channels, block_bytes, width):
    for block in partition(trial_bytes, n_channels, block_bytes, width):
        assert block.first_channel % width == 0
        assert block.n_channels == min(width, n_channels - block.first_channel)


def test_blocks_have_about_the_target_size():
    blocks = partition(np.full(182_603, 51 * 220 * 4), 220, 16 * 2**20)
    rows = np.array([b.stop_trial - b.first_trial for b in blocks]) * 51 * 220 * 4
    assert len(blocks) < 600
    assert rows.max() <= 16 * 2**20
    assert rows[:-1].min() > 8 * 2**20


def test_few_long_trials_are_split_over_channels():
    blocks = partition(np.full(3, 4 * 10**6 * 128), 128, 16 * 2**20)
    assert len(blocks) >= 24
    assert {b.n_channels for b in blocks} != {128}


def test_a_trial_much_larger_than_a_block_is_cut_along_time():
    blocks = partition(np.array([100, 10_000, 100]), 4, 1000, None, np.array([1, 20, 1]))
    assert [(b.first_piece, b.stop_piece) for b in blocks if b.first_trial == 1] == [
        (k, k + 2) for k in range(0, 20, 2)
    ]
    assert all(b.stop_piece is None for b in blocks if b.first_trial != 1)
    assert all((b.first_channel, b.stop_channel) == (0, 4) for b in blocks)
    narrow = partition(np.array([10_000]), 4, 1000, 3, np.array([20]))
    assert [(b.first_piece, b.first_channel, b.stop_channel) for b in narrow[:3]] == [
        (0, 0, 3),
        (0, 3, 4),
        (2, 0, 3),
    ]
    assert "pieces 0 to 1" in str(narrow[0])


def test_pieces_that_are_still_too_large_are_cut_into_channels():
    blocks = partition(np.array([640_000]), 64, 10_000, None, np.array([4]))
    assert {b.n_channels for b in blocks} == {16}
    assert sorted({(b.first_piece, b.stop_piece) for b in blocks}) == [(k, k + 1) for k in range(4)]


@st.composite
def bands(draw):
    """Where frequencies may be cut, as a method would say: at most n runs."""
    n_freq, most = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    return n_freq, lambda k, n: np.unique(
        np.linspace(0, n_freq, min(n, most, n_freq) + 1).astype(int)
    ).tolist()


@settings(deadline=None)
@given(sizes, st.integers(1, 40), st.integers(1, 10**8), st.one_of(st.none(), st.integers(1, 50)), bands())
def test_every_frequency_is_in_exactly_one_block(trial_bytes, n_channels, block_bytes, width, drawn):
    n_freq, edges = drawn
    blocks = partition(trial_bytes, n_channels, block_bytes, width, band_edges=edges)
    uncut = partition(trial_bytes, n_channels, block_bytes, width)
    count = np.zeros((len(trial_bytes), n_channels, n_freq), dtype=int)
    for b in blocks:
        freqs = slice(b.first_freq, n_freq if b.stop_freq is None else b.stop_freq)
        count[b.first_trial : b.stop_trial, b.first_channel : b.stop_channel, freqs] += 1
        assert b.stop_freq is None or b.stop_trial == b.first_trial + 1
        assert b.stop_freq is None or len(uncut) < 64
    assert (count == 1).all()


def test_a_single_trial_is_cut_into_runs_of_frequencies():
    edges = [0, 5, 20, 60]
    blocks = partition(np.array([100, 90_000, 100]), 1, 1000, None, None, lambda k, n: edges)
    assert [(b.first_trial, b.first_freq, b.stop_freq) for b in blocks] == [
        (0, 0, None),
        (1, 0, 5),
        (1, 5, 20),
        (1, 20, 60),
        (2, 0, None),
    ]
    assert "frequencies 5 to 19" in str(blocks[2])
    asked = []
    partition(np.array([100, 90_000, 1900]), 3, 1000, 1, None, lambda k, n: asked.append((k, n)) or edges)
    assert asked == [(1, 30)], "each of three channels needs 30 runs; the trial of two blocks is not cut"
    pieces = partition(np.array([90_000]), 1, 1000, None, np.array([90]), lambda k, n: edges)
    assert all(b.stop_freq is None for b in pieces), "one way to cut is enough"


def test_memory_is_projected_for_the_largest_run_of_each_trial():
    edges = {1: [0, 5, 20, 60], 2: [0, 50, 60]}
    blocks = partition(np.array([900, 90_000, 90_000]), 1, 1000, None, None, lambda k, n: edges[k])
    groups = widest_runs(blocks, np.arange(len(blocks)))
    found = [blocks[group] for group in groups]
    assert [(b.first_trial, b.first_freq, b.stop_freq) for b in found] == [
        (0, 0, None),
        (1, 20, 60),
        (2, 0, 50),
    ]
    assert widest_runs(partition(np.array([900]), 1, 1000), np.arange(1)) == []
