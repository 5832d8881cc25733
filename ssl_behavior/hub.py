"""Encoders on the Hugging Face Hub: upload and download of the folders that `Encoder.save_pretrained` writes."""

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssl_behavior.errors import InputError

__all__ = ["downloaded", "upload"]

_SCHEME = "hf://"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def _library() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise InputError("the hub needs huggingface_hub: pip install 'ssl-behavior[hub]'") from None
    return huggingface_hub


def _checked(repo_id: str, argument: str) -> str:
    if not isinstance(repo_id, str) or not _NAME.fullmatch(repo_id):
        raise InputError(f"`{argument}` must be a name on the hub such as lab/rats, got {repo_id!r}")
    return repo_id


def upload(
    save: Callable[..., Path], repo_id: str, license: str, description: str, private: bool, token: str | None
) -> str:
    """Write an encoder with `save`, publish the folder, and return its address.

    Raises
    ------
    InputError
        If huggingface_hub is not installed, the name is none, or the hub refuses.
    """
    library, name = _library(), _checked(repo_id, "repo_id")
    with tempfile.TemporaryDirectory(prefix="ssl-behavior-") as scratch:
        folder = save(Path(scratch) / name.rpartition("/")[2], license=license, description=description)
        try:
            library.create_repo(name, private=private, token=token, exist_ok=True)
            done = library.upload_folder(
                repo_id=name, folder_path=folder, token=token, commit_message="Encoder of ssl-behavior"
            )
        except _failures() as error:
            raise _refused(name, error) from None
    return str(getattr(done, "repo_url", "") or f"{_SCHEME}{name}")


def downloaded(path: str | Path) -> str | Path:
    """The folder itself, or of hf://OWNER/NAME a local copy.

    Raises
    ------
    InputError
        If huggingface_hub is not installed, the name is none, or the hub refuses.
    """
    if isinstance(path, Path) or not str(path).startswith(_SCHEME):
        return path
    name = _checked(str(path).removeprefix(_SCHEME), "path")
    try:
        return Path(_library().snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.md"]))
    except _failures() as error:
        raise _refused(name, error) from None


def _failures() -> tuple[type[Exception], ...]:
    """Errors of the hub's client: of files and connections, of names, and of httpx, which newer clients use."""
    client = sys.modules.get("httpx")
    return (OSError, ValueError, *([client.HTTPError] if client is not None else []))


def _refused(name: str, error: Exception) -> InputError:
    lines = str(error).strip().splitlines()
    return InputError(f"{name!r}: the hub cannot be reached, or refuses: {lines[0] if lines else type(error).__name__}")
