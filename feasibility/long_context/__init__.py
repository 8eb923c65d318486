"""What long contexts are worth, and streams in constant memory: begin with experiment.py."""
