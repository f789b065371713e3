"""What a live run writes (segments, manifest, gallery), and what retention deletes."""
