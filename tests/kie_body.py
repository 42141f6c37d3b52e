"""The bodies of KIE's API that are known, by number and name."""

import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "fixtures" / "kie_bodies.json"

EXAMPLES: dict[str, dict[str, Any]] = {
    f"{number:02d} {example['name']}": example
    for number, example in enumerate(json.loads(_FILE.read_text())["examples"])
}

_STATEMENTS = ("callback.", "recordInfo.pending", "recordInfo.success", "recordInfo.fail")

ABOUT_A_TASK = {
    name
    for name, example in EXAMPLES.items()
    if example["kind"].startswith(_STATEMENTS) and isinstance(example["body"], dict)
}
"""Those that the payload parser reads; the client reads the others."""
