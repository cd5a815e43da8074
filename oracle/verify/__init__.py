"""Checking an answer from the outside: seven steps, from the request on chain to the money.

Needs no trust in the operator. What it takes from elsewhere (chain, files, an endpoint, a machine
that runs models) comes in through `sources`; what it found goes out as a `Report`.
"""
