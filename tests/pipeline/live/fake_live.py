"""`mtmc live` with models that find the same person in every picture; run as a process by the tests.

fake_live.py ARGUMENTS OF mtmc live ...
"""

from __future__ import annotations

import logging
import sys

import pipeline.live.building
from pipeline.cli import main
from pipeline.config import Config
from pipeline.live.run import LiveParts
from tests.factories import with_limits
from tests.pipeline.live.fakes import one_look, one_person


def build_live(config: Config) -> tuple[Config, LiveParts]:
    return with_limits(config), LiveParts(one_person(), one_look(), {"mtmc": "test"})


if __name__ == "__main__":
    pipeline.live.building.build_live = build_live
    logging.captureWarnings(True)
    main(["-v", "live", *sys.argv[1:]])
