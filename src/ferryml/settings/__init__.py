"""The knobs: every setting with its unit, default, off-switch and reason."""

from ferryml.settings.cluster import ClusterSettings
from ferryml.settings.knob import Knob, Settings
from ferryml.settings.load import load
from ferryml.settings.router import RouterSettings
from ferryml.settings.server import ServerSettings
from ferryml.settings.site import SiteSettings

__all__ = ["ClusterSettings", "Knob", "RouterSettings", "ServerSettings", "Settings", "SiteSettings", "load"]
