"""The sections of a run's settings, each with its meaning, unit and limits.

Numbers in parentheses are sections of the paper (Kim and Shim, CVPR 2025). "Code" is the authors' public
implementation. config.py puts the sections together. presets.py has the values of the presets and their
sources.
"""

from ccd_core.settings.sections.base import MOST_SEED, REPLACED_AS_A_WHOLE, Section
from ccd_core.settings.sections.classifier import ClassifierSettings
from ccd_core.settings.sections.clip import ClipSettings
from ccd_core.settings.sections.data import DataSettings
from ccd_core.settings.sections.labels import BiasSettings, LabelSettings, NoneImageSettings
from ccd_core.settings.sections.method import SUPERVISION, MethodName, MethodSettings
from ccd_core.settings.sections.predict import PredictSettings
from ccd_core.settings.sections.training import TrainingSettings
from ccd_core.settings.sections.views import MeanViews, SearchedViews, ViewSettings

__all__ = [
    "MOST_SEED",
    "REPLACED_AS_A_WHOLE",
    "SUPERVISION",
    "BiasSettings",
    "ClassifierSettings",
    "ClipSettings",
    "DataSettings",
    "LabelSettings",
    "MeanViews",
    "MethodName",
    "MethodSettings",
    "NoneImageSettings",
    "PredictSettings",
    "SearchedViews",
    "Section",
    "TrainingSettings",
    "ViewSettings",
]
