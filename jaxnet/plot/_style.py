"""One look for all figures: legible at half a page's width."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler


# Okabe and Ito's palette, told apart by the colour-blind too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_SETTINGS: Any = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.dpi": 200,
    "figure.figsize": (3.5, 2.6),
    "font.size": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}


@contextmanager
def style() -> Iterator[None]:
    """Figures made inside are small, with letters of 8 points and colours for all.

    ```pycon
    >>> import jaxnet as jn
    >>> import matplotlib.pyplot as plt
    >>> with jn.plot.style():
    ...     fig, ax = plt.subplots()
    ```
    """
    with plt.rc_context(_SETTINGS):
        yield
