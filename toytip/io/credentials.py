"""Credentials for object stores in the file `.env`."""

from __future__ import annotations

import os

from dotenv import dotenv_values


def export_credentials() -> None:
    """Set the `AWS_*` variables of `.env` in the environment of this process and its children.

    Existing variables keep their values. No setting, message or task contains these variables.
    Settings.load raises the error of a file that is not text in UTF-8.
    """
    try:
        variables = dotenv_values(".env")
    except UnicodeDecodeError:
        return
    for name, value in variables.items():
        if name.startswith("AWS_") and value and not os.environ.get(name):
            os.environ[name] = value
