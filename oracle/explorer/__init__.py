"""The public explorer: follows the chain into an index of its own and serves it as pages and JSON.

Needs no key and trusts no operator. What is shown comes from the chain's logs; what is checked is
checked by `oracle.verify`.
"""
