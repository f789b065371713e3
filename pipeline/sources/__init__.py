"""Sources of frames: one module per kind of recording, all behind `FrameSource`."""
