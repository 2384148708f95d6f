"""Executes plans: engines, executor, problems, answers, runs."""
