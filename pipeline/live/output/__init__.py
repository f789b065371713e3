"""What a live run writes: segments, manifest, gallery; what it deletes again."""
