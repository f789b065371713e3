"""What a live run says of itself: status, metrics, previews, without secrets."""
