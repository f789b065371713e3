"""Where frames come from: one file per kind of recording, all behind `FrameSource`."""
