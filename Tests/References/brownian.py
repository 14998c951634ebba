"""Noise for diffusers' DPM++ SDE from draws that another program can make too, in the place of torchsde's, whose random numbers come from a
tree of seeds of its own."""

import importlib
import sys
import types

# diffusers imports torchsde for this noise alone.
sys.modules.setdefault("torchsde", types.ModuleType("torchsde"))
SDE = importlib.import_module("diffusers.schedulers.scheduling_dpmsolver_sde")


class BrownianPath:
    """Increments of a Brownian path over sigma from draws, as DPM++ SDE asks for them: from a step's start to its middle, then from its
    start to its end. Divided by the root of their length, as diffusers' BrownianTreeNoiseSampler gives them."""

    # Gives the next draw of the sample's shape; set before a run.
    draw = None

    def __init__(self, *args):
        self.start = None

    def __call__(self, start, end):
        drawn = BrownianPath.draw()
        if self.start is None:
            self.start, self.middle, self.first = start, end, drawn
            return drawn
        middle, self.start = self.middle, None
        first, second = (start - middle).sqrt(), (middle - end).sqrt()
        return (first * self.first + second * drawn) / (start - end).sqrt()


SDE.BrownianTreeNoiseSampler = BrownianPath
