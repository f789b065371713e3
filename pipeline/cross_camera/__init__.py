"""Links the tracks of all cameras to identities: online while the video runs, then in a second pass."""
