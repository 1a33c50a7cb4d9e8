"""Quick looks at data: ``singlepanelplot`` and ``multipanelplot``, functions and methods."""

from rayspy.plotting.panels import multipanelplot as multipanelplot
from rayspy.plotting.panels import singlepanelplot as singlepanelplot

__all__ = ["multipanelplot", "singlepanelplot"]
