"""What the answers of a run say, and how sure that is: intervals, comparisons, estimators."""
