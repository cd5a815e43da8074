"""A chain of one's own: anvil, the contracts on it, and people with money. Never a public chain."""
