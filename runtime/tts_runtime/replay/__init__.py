"""Recorded samples in place of a model: `--policy replay:PATH`."""
