"""Nothing of this project looks up a name on the network by itself, or leaves an id in the user's home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Name look-ups fail and are printed.
NO_NAMES = """
import socket, sys

def refuse(host, *arguments, **options):
    print("looked up", host)
    raise socket.gaierror(f"no name is looked up in this test, but {host!r} is")

for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection"):
    setattr(socket, function, refuse)
"""

WORK = {
    "convert and quantise": """
import torch
import detectors, pipeline, reid
import nncf, openvino
network = openvino.convert_model(torch.nn.Linear(4, 2).eval(), example_input=torch.zeros(1, 4))
openvino.Core().compile_model(network, "CPU")
""",
    "import a detector": """
from detectors.ultralytics_import import import_ultralytics
import_ultralytics()
""",
    "export a model": """
from pathlib import Path
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.export.to_openvino import write_openvino
from reid.models.transreid import TransReID, TransReIDConfig
save_checkpoint("model.safetensors", TransReID(TransReIDConfig(width=32, depth=1, heads=1, image_size=(32, 16))))
write_openvino(load_checkpoint(Path("model.safetensors")), Path("model.xml"))
""",
}


@pytest.mark.parametrize("what", WORK)
def test_no_name_is_looked_up(what: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", NO_NAMES + WORK[what]]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "looked up" not in ended.stdout
    assert not (home / "intel").exists()
