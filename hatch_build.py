"""Puts data/ and notebooks/ into a built wheel; an editable install reads them in the checkout."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        for folder in ("data", "notebooks"):
            for path in sorted((root / folder).rglob("*")):
                inside = path.relative_to(root)
                hidden = any(part.startswith(".") for part in inside.parts)  # .ipynb_checkpoints
                if path.is_file() and not hidden:
                    build_data["force_include"][str(path)] = f"simkit/{inside.as_posix()}"
