"""Figures, with matplotlib. Each function draws into the axes that it is given."""

from ._phase import (
    fixed_points as fixed_points,
    phase_line as phase_line,
    phase_plane as phase_plane,
)
from ._sheet import (
    animate_sheet as animate_sheet,
    save_animation as save_animation,
    sheet as sheet,
)
from ._spikes import raster as raster
from ._style import COLOURS as COLOURS, style as style
