"""No call home: importing this keeps OpenVINO and NNCF from sending usage statistics.

Both send them through the package openvino_telemetry, to Google Analytics, and write a client id into the user's home.
They do without the package when it cannot be imported, which an entry of None in `sys.modules` brings about. It must
stand there before either is imported, so the packages of this project import this module first.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
