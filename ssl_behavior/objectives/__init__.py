"""Losses as pure functions that know no network."""

from ssl_behavior.objectives.attributes import attribute_classification, attribute_regression
from ssl_behavior.objectives.contrastive import supervised_contrastive
from ssl_behavior.objectives.info_nce import InfoNCE, dense_info_nce
from ssl_behavior.objectives.labels import (
    balanced_class_weights,
    binary_label_cross_entropy,
    class_prior,
    label_cross_entropy,
)
from ssl_behavior.objectives.likelihood import gaussian_nll, kl_to_standard_normal
from ssl_behavior.objectives.summaries import summary_error
from ssl_behavior.objectives.sums import Sums, full_precision

__all__ = [
    "InfoNCE",
    "Sums",
    "attribute_classification",
    "attribute_regression",
    "balanced_class_weights",
    "binary_label_cross_entropy",
    "class_prior",
    "dense_info_nce",
    "full_precision",
    "gaussian_nll",
    "kl_to_standard_normal",
    "label_cross_entropy",
    "summary_error",
    "supervised_contrastive",
]
