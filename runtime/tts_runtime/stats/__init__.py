"""Statistics on the answers of runs: intervals, comparisons, estimators."""
