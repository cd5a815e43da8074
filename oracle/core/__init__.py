"""The protocol's nouns: pure values and rules. No I/O, no clock, no logging, no randomness."""
