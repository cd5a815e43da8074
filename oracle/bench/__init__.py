"""Measures what the whole thing costs: gas by verb, time to an answer, answers per second.

Each measurement brings up a devnet of its own and a worker in a process of its own, and leaves
nothing behind. Returns plain values; how they are shown is the command line's business.
"""
