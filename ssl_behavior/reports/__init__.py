"""Report: one HTML file that shows embeddings, clusters and labels, and files for TensorBoard's projector."""

from ssl_behavior.reports.contents import (
    MOST_POINTS,
    AnimalProfiles,
    Channel,
    Ethogram,
    ExampleBout,
    FrameMap,
    Neighbor,
    ProfileTest,
    Report,
    ReportRecording,
    Scores,
)
from ssl_behavior.reports.gather import DEFAULT_PROGRAMS, Gathered, ReportConfig, gather_report
from ssl_behavior.reports.page import check_page, render_report, write_report
from ssl_behavior.reports.projector import PROJECTOR_POINTS, write_projector
from ssl_behavior.reports.result_files import read_profiles, read_scores
from ssl_behavior.reports.write import report

__all__ = [
    "DEFAULT_PROGRAMS",
    "MOST_POINTS",
    "PROJECTOR_POINTS",
    "AnimalProfiles",
    "Channel",
    "Ethogram",
    "ExampleBout",
    "FrameMap",
    "Gathered",
    "Neighbor",
    "ProfileTest",
    "Report",
    "ReportConfig",
    "ReportRecording",
    "Scores",
    "check_page",
    "gather_report",
    "read_profiles",
    "read_scores",
    "render_report",
    "report",
    "write_projector",
    "write_report",
]
