"""From syntax to plan: names, kinds, columns and numbers are checked while operations are made."""
