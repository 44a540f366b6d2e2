"""Figures, with matplotlib. Each function draws into the axes that it is given."""

from ._bifurcation import (
    bifurcation_diagram as bifurcation_diagram,
    two_parameter_diagram as two_parameter_diagram,
)
from ._cells import cells as cells
from ._phase import (
    basins as basins,
    fixed_points as fixed_points,
    phase_line as phase_line,
    phase_plane as phase_plane,
    separatrices as separatrices,
)
from ._sheet import (
    animate_sheet as animate_sheet,
    save_animation as save_animation,
    sheet as sheet,
)
from ._spikes import raster as raster
from ._style import COLOURS as COLOURS, style as style
