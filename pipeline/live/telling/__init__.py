"""What a live run reports about itself, without secrets: status, metrics, previews."""
