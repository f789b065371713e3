"""Training of re-identification models: data, augmentation, losses, teachers, the loop, and what it resumes from."""
