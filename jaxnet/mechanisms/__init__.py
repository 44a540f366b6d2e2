"""Mechanisms: the channels of a membrane, whose currents add up."""

from ._base import AbstractMechanism as AbstractMechanism
from ._channels import (
    AbstractSodiumPotassium as AbstractSodiumPotassium,
    Gates as Gates,
    HodgkinHuxley as HodgkinHuxley,
    TraubMiles as TraubMiles,
)
from ._leak import Leak as Leak
