"""The report: one HTML file to look at embeddings, clusters and labels with, and files for TensorBoard's projector."""

from ssl_behavior.report.contents import (
    MOST_POINTS,
    Channel,
    ClusterCard,
    Difference,
    Enrichment,
    Ethogram,
    FrameMap,
    Neighbor,
    Profile,
    ProfileTest,
    Ranked,
    Report,
    ReportRecording,
    Runs,
    Scores,
    ShownBout,
    Span,
)
from ssl_behavior.report.gather import DEFAULT_PROGRAMS, Gathered, ReportConfig, gather_report
from ssl_behavior.report.page import check_page, render_report, write_report
from ssl_behavior.report.projector import PROJECTOR_POINTS, write_projector
from ssl_behavior.report.summary import Description, read_description, read_scores

__all__ = [
    "DEFAULT_PROGRAMS",
    "MOST_POINTS",
    "PROJECTOR_POINTS",
    "Channel",
    "ClusterCard",
    "Description",
    "Difference",
    "Enrichment",
    "Ethogram",
    "FrameMap",
    "Gathered",
    "Neighbor",
    "Profile",
    "ProfileTest",
    "Ranked",
    "Report",
    "ReportConfig",
    "ReportRecording",
    "Runs",
    "Scores",
    "ShownBout",
    "Span",
    "check_page",
    "gather_report",
    "read_description",
    "read_scores",
    "render_report",
    "write_projector",
    "write_report",
]
