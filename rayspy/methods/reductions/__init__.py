"""What becomes of the results of trials: one reduction per file."""

from rayspy.methods.reductions.base import Layout, Reduction, over_trials, wide
from rayspy.methods.reductions.mean import Mean
from rayspy.methods.reductions.median import Median
from rayspy.methods.reductions.moments import Moments
from rayspy.methods.reductions.present import Present
from rayspy.methods.reductions.resultant import Resultant
from rayspy.methods.reductions.total import Total

__all__ = [
    "Layout",
    "Mean",
    "Median",
    "Moments",
    "Present",
    "Reduction",
    "Resultant",
    "Total",
    "over_trials",
    "wide",
]
