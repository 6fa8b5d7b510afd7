"""Face identities from frame to frame."""
