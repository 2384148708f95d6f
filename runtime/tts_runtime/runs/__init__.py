"""Runs: strategies over problems, results, run directories."""
