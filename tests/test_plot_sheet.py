"""Figures and films of sheets: what is drawn is what was measured."""

import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxnet as jn


FRAMES = jnp.zeros((3, 12, 16), bool)
FRAMES = FRAMES.at[0, 2:5, 4:7].set(True).at[1, 4:7, 5:8].set(True)
FRAMES = FRAMES.at[:2, 9:11, 11:15].set(True)
PATTERNS = jax.vmap(lambda active: jn.measure.patterns(active, max_patterns=4))(FRAMES)
# The first moves, the second one does not.
VELOCITY = jnp.zeros((3, 4, 2)).at[0, 0].set(jnp.array([0.4, 0.2]))


@pytest.fixture
def ax():
    fig, ax = plt.subplots(figsize=(1, 1), dpi=50)
    yield ax
    plt.close(fig)


def frame(k):
    return jax.tree.map(lambda x: x[k], PATTERNS)


def animate(*args, **options):
    film = jn.plot.animate_sheet(*args, **options)
    # Else matplotlib warns of a film that nobody sees.
    film._draw_was_started = True
    return film


def test_rows_go_down_and_columns_to_the_right(ax):
    image = jn.plot.sheet(ax, FRAMES[0], frame(0), VELOCITY[0], arrow=5.0)
    dots, arrows = ax.collections
    assert np.array_equal(image.get_array(), FRAMES[0])
    assert dots.get_offsets().tolist() == [[5.0, 3.0], [12.5, 9.5]]
    assert arrows.get_offsets().tolist() == [[5.0, 3.0]]
    assert (arrows.U.tolist(), arrows.V.tolist()) == ([1.0], [2.0])
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 15.5), (11.5, -0.5))


def test_a_sheet_without_patterns_has_no_arrows(ax):
    jn.plot.sheet(ax, FRAMES[2], frame(2), VELOCITY[2], cmap="gray")
    (dots,) = ax.collections
    assert len(dots.get_offsets()) == 0


def test_a_film_shows_each_frame_with_its_own_patterns(ax):
    film = animate(ax, FRAMES, PATTERNS, VELOCITY, time=[0.0, 5.0, 10.0], vmin=-1.0)
    found = []
    for number in film.new_frame_seq():
        film._draw_frame(number)
        assert np.array_equal(ax.images[0].get_array(), FRAMES[number])
        found.append((len(ax.collections), ax.texts[0].get_text()))
    assert found == [(2, "0 ms"), (1, "5 ms"), (1, "10 ms")]
    assert ax.images[0].get_clim() == (-1.0, 1.0)


def test_sheets_side_by_side_share_their_colours():
    fig, axes = plt.subplots(1, 2, figsize=(1, 1))
    frames = jnp.arange(2.0)[:, None, None, None] * jnp.ones((2, 3, 4, 5))
    animate(axes, frames)
    assert [ax.images[0].get_clim() for ax in axes] == [(0.0, 1.0)] * 2
    plt.close(fig)


def test_frames_that_do_not_fit_the_axes_are_refused(ax):
    with pytest.raises(ValueError, match=r"`frames` must have the shape .* 1 axes"):
        jn.plot.animate_sheet([ax], FRAMES)


@pytest.mark.parametrize(
    ("name", "start", "magic"), [("film.gif", 0, b"GIF89a"), ("film.mp4", 4, b"ftyp")]
)
def test_a_film_is_written_as_a_video_or_a_moving_picture(ax, tmp_path, name, start, magic):
    film = animate(ax, FRAMES, PATTERNS, VELOCITY)
    jn.plot.save_animation(film, tmp_path / name, dpi=50.0)
    assert (tmp_path / name).read_bytes()[start:].startswith(magic)


def test_a_video_without_ffmpeg_names_the_extra(ax, tmp_path, monkeypatch):
    film = animate(ax, FRAMES)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxnet-dynamics\[video\]'"):
        jn.plot.save_animation(film, tmp_path / "film.mp4")


def test_another_ending_is_refused(ax, tmp_path):
    film = animate(ax, FRAMES)
    with pytest.raises(ValueError, match=r"must end in `.mp4` or `.gif`"):
        jn.plot.save_animation(film, tmp_path / "film.avi")
