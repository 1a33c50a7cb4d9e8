"""Synthetic recordings for tests, tutorials and simulations."""

from rayspy.synthdata.autoregressive import ar2_network as ar2_network
from rayspy.synthdata.autoregressive import ar2_peak_freq as ar2_peak_freq
from rayspy.synthdata.autoregressive import mk_RandomAdjMat as mk_RandomAdjMat
from rayspy.synthdata.autoregressive import red_noise as red_noise
from rayspy.synthdata.collect import collect_trials as collect_trials
from rayspy.synthdata.noise import white_noise as white_noise
from rayspy.synthdata.waves import harmonic as harmonic
from rayspy.synthdata.waves import linear_trend as linear_trend
from rayspy.synthdata.waves import phase_diffusion as phase_diffusion

__all__ = [
    "ar2_network",
    "ar2_peak_freq",
    "collect_trials",
    "harmonic",
    "linear_trend",
    "mk_RandomAdjMat",
    "phase_diffusion",
    "red_noise",
    "white_noise",
]
