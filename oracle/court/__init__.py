"""The court: whether one element of a committed run can have come from its operands.

Everything here is exact (Python integers and fractions); the contract does the same in Solidity.
`docs/court.md` is the specification that both follow.
"""
