"""Disables telemetry: importing this module keeps OpenVINO and NNCF from sending usage statistics.

Both send them to Google Analytics through the package openvino_telemetry, and write a client id into the user's home
folder. Both work without that package. An entry of None in `sys.modules` makes its import fail. The entry must exist
before either is imported, so the packages of this project import this module first.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
