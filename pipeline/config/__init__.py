"""The configuration: read in one place, strict and frozen."""

from pipeline.config.config import DEFAULT_CONFIG, CameraConfig, Config, load_config

__all__ = ["DEFAULT_CONFIG", "CameraConfig", "Config", "load_config"]
