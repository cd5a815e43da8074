"""The protocols between services and the world, by what they lead to. Holds no behaviour."""
