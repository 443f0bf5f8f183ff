"""ACTS: what the assistant knows and does, as plain Python without channel, database or network."""
