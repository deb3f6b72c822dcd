"""Apply the settings on the stored code of projects to this process."""

from __future__ import annotations

from toytip.config import Settings
from toytip.datasets.project.trust import CodePolicy, set_policy
from toytip.settings_files import state_folder


def apply_code_policy(settings: Settings) -> None:
    """Let this process execute the stored code that the settings allow."""
    try:
        folder = state_folder(settings.state_dir).expanduser() / "project-code"
    except RuntimeError:  # the user has no home folder
        folder = None
    set_policy(
        CodePolicy(allows_all=settings.allow_project_code, own_file=settings.project.module, folder=folder)
    )
