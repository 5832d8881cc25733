"""Self-supervised representations of social behaviour from pose tracks."""
