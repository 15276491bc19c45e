"""The published schema of the manifest."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_PATH = Path(__file__).parents[3] / "docs" / "reference" / "recording-manifest.schema.json"
_VALIDATOR = Draft202012Validator(json.loads(_PATH.read_text()))


def validate(manifest: Any) -> None:
    """Raises jsonschema.ValidationError."""
    _VALIDATOR.validate(manifest)
