"""Models of neural dynamics. Each documents its state and its input `u`."""

from ._rate import (
    RateNetwork as RateNetwork,
    RatePopulation as RatePopulation,
    WilsonCowan as WilsonCowan,
)
