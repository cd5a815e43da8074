"""A dApp developer's first hour: the npm package, pages, examples and wheel, all as used."""
